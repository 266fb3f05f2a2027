def f(n):
    return [g(n)]
def g(n):
    return dict(a=f(n))
x = f(0)
