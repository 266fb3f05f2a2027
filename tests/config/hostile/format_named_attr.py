x = "{d.__init__.__globals__}".format(d=dict(a=1))
