from mmengine.config import read_base
with read_base():
    from .lazy_1 import *
val_dataloader.update(dict(bs=5))
val_dataloader.dataset.p[0].a = 9
val2 = val_dataloader
t3 = dict(x=val_dataloader)
pipe[0].a = 2
hooks[0].p.append(dict(c=1))
hooks[0].update(dict(q=dict(w=1)))
train.ds.pipeline[1].update(b=7)
model.backbone['init'] = None
del model.type
copied = model.copy()
copied.backbone.depth = 5
both = {**model, 'z': 1}
both['backbone']['depth'] = 6
if 'backbone' in model and model.backbone.get('nope', 4) == 4:
    flag = [k for k in model.keys()]
length = len(hooks)
