d = dict(a=1)
x = max([1, 2], key=d)
