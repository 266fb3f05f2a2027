model = dict(neck=1)
zz = dict(a=dict(b=1))
