def f():
    return 1
x = [dict(a=(f,))]
