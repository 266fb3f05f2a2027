d = dict(a=1)
x = d._origins
