def f():
    return 1


x = getattr(f, "reader")
