model = dict(backbone=dict(depth=50, x=1), head=dict(a=1))
lst=[dict(a=1)]
tup=(dict(a=1),2)
optimizer = dict(type='SGD', lr=1)
_hidden_=3
__dunder=4
_under=5
