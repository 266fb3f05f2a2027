d = dict(a=1)
x = d.update
