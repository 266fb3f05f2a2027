_base_='b.py'
model=dict(type='M', backbone=dict(type='B', list=[dict(type='Q')]))
pl=[dict(type='P', sub=dict(type='S'))]
notype=dict(inner=dict(type='I', deep=dict(type='D')), lst=[dict(type='L')], tup=(dict(type='T'),))
already=dict(type='A', _scope_='other')
nested=[[dict(type='N')]]
tup=(dict(type='TT'),)
