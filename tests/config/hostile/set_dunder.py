d = dict()
d.__class__ = 1
