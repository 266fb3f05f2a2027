def f():
    return eval("1")
a = f()
