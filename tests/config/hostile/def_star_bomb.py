def f(*a):
    return f(*a, *a)
x = f(1, 2)
