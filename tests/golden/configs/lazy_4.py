from mmengine.config import read_base
with read_base():
    from .lazy_2 import *
    from .lazy_1 import pipe as pipe2
    from .lazy_1 import val_dataloader
val_dataloader.bs = 33
pipe2.append(4)
train.ds.update(_delete_=True, k=1)
hooks.extend([dict(u=1)])
hooks += [dict(v=1)]
test_dataloader |= dict(dataset=dict(x=1))
model |= dict(backbone=dict(y=1))
mm = model | dict(backbone=dict(k=1))
