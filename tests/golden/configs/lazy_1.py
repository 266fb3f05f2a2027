from mmdet.models import Det
model = dict(type=Det, backbone=dict(depth=1))
val_dataloader = dict(bs=1, dataset=dict(p=[dict(a=1)]))
test_dataloader = val_dataloader
pipe = [dict(a=1), dict(b=1)]
train = dict(ds=dict(pipeline=pipe))
hooks = [dict(type='A', p=pipe)]
