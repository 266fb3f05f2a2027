def f():
    pass
x = f.__globals__
