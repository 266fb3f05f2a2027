from mmengine.config import read_base
with read_base():
    from .base import *
    from .base_b import *
model.merge(dict(_delete_=True, z=1))
optimizer.merge(dict(lr=2))
lst[0].a = 5
f = _base_.x if 0 else 1
