d = dict(a=1)
x = d.__init__.__globals__
