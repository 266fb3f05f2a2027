from mmengine.config import read_base

with read_base():
    from .lazy_base import *
    from .base import model as net

from torch.nn import ReLU

hooks.visualization = dict(type='V', draw=True)
hooks.logger.interval = max_epochs * 2
optimizer.update(dict(lr=2e-3, extra=dict(type=ReLU)))
optimizer.kinds.append(AdamW)
net.update(backbone=dict(depth=101))
net.pop('head')
schedule = [dict(type='S', end=max_epochs), *[dict(i=i) for i in range(2)]]
alias = AdamW
