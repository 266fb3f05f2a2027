from mmengine.config import read_base
with read_base():
    from .base import *
x = dict(a=1, l=[1], d=dict(k=1))
model.q = x
model['q2'] = x
model.update(dict(q3=x))
model.update(q4=x)
model.setdefault('q5', x)
model.t = (x, [x])
x['a'] = 2
x['l'].append(2)
x['d']['k'] = 2
l = [1]
model.l = l
model['l2'] = l
model.update(l3=l)
l.append(2)
y = optimizer
model.opt = y
model.update(opt2=y)
model['opt3'] = y
model.opt4 = [y]
z = dict(o=y)
y.lr = 9
y.deep = dict(n=1)
w = model.opt
w.extra = 1
mc = model.copy()
mc.head.a = 77
lst[0].b = 3
lst.append(dict(a=dict(b=1)))
m2 = dict(a=dict(b=1))
m2.update(a=dict(c=1))
opp = optimizer.pop('nope')
model.merge(dict(head=dict(_delete_=True, q=1)))
head2 = model.head
