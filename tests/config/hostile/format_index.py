x = "{0[a]}".format(dict(a=1))
