_base_ = ['mmdet::x/a.py']
model = dict(backbone=dict(depth=3))
