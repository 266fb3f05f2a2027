def f():
    yield 1
x = list(f())
