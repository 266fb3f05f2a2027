d = dict(a=1)
x = d.__class__
