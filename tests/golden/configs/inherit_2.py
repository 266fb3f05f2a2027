_base_ = 'inherit_1.py'
_base_.mod.h.a = 101
_base_.k2[0].policies[0].p = 102
_base_.k3.pipe[0].m.h.a = 103
_base_.k5[1].l[1].z = 104
_base_.k9[0].x.h.a = 105
_base_.k10.h.a = 106
pol = [*_base_.pol, {{_base_.mod}}]
k4 = dict(d=dict(_delete_=True, e=[f'{x:02d}' for x in range(3)]))
