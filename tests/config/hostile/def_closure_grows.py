def f(a, more=[]):
    more += [a] * 1000
    more += more
    return more
x = [f(n) for n in range(100)]
