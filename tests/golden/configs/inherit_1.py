_base_='inherit_0.py'
k1={{_base_.pol}}
k2=[dict(policies={{_base_.pol}}, m={{_base_.mod}})]
k3=dict(policies={{_base_.pol}}, pipe=k2)
k4=dict(d=dict(pipe=k2))
k5=[[{{_base_.mod}}], _base_.mod, {{_base_.pol}}]
k6=_base_.pol
k7=dict(pol=_base_.pol, mod=_base_.mod)
k8=[_base_.mod]
k9=[dict(x=_base_.mod, y=_base_.pol, k2=k2)]
k10=_base_.mod
