a = dict(b=[dict(c=__import__("os"))])
