from mmengine.config import read_base
with read_base():
    from .lazy_2 import *
val2.bs = 77
t3.x.new = 78
val_dataloader.dataset.p.append(dict(n=1))
