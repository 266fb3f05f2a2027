class A:
    pass
x = dict(type=A)
