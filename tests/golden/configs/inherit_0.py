pol=[dict(p=1), dict(p=2)]
mod=dict(h=dict(a=1), l=[1,dict(z=1)])
