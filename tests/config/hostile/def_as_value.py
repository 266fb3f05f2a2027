def f():
    return 1
a = dict(type=f)
