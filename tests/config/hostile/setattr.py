d = dict()
setattr(d, "x", 1)
