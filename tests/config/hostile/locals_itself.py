x = dict(a=locals())
