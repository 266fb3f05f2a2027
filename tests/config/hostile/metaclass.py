class A(metaclass=print):
    pass
