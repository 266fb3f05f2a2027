def f(a=open("/tmp/loopwright_marker", "w")):
    pass
