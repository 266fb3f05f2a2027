_base_='base.py'
x = dict(a=1, l=[1], d=dict(k=1))
_base_.model.q = x
_base_.model['q2'] = x
_base_.model.update(dict(q3=x))
_base_.model.update(q4=x)
_base_.model.setdefault('q5', x)
_base_.new = dict(g=x)
_base_.model.t = (x, [x])
x['a'] = 2
x['l'].append(2)
x['d']['k'] = 2
l = [1]
_base_.model.l = l
_base_.model['l2'] = l
_base_.model.update(l3=l)
l.append(2)
y = _base_.optimizer
_base_.model.opt = y
_base_.model.update(opt2=y)
_base_.model['opt3'] = y
_base_.model.opt4 = [y]
z = dict(o=y)
y.lr = 9
y.deep = dict(n=1)
w = _base_.model.opt
w.extra = 1
x2 = dict(a=1)
e = [x2, x2]
e[0]['a'] = 5
kk = _base_.get('nokey', 3)
pp = _base_.model.pop('nokey', 4)
mc = _base_.model.copy()
mc.head.a = 77
md = dict(_base_.model)
m3 = {**_base_.optimizer}
m3['lr'] = 10
t3 = type(m3).__name__ if False else 0
pz = _base_.model.get('zz')
ps = _base_.model.pop('zzz')
