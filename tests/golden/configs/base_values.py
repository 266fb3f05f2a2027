_base_ = ['base.py', 'base_two.yaml']
x = {{_base_.model.backbone}}
y = [{{ _base_.lst }}, _base_.tup[1], _base_['two']]
z = _base_.model.head.a + 1
model = dict(backbone=dict(y={{_base_.optimizer}}))
optimizer = None
