@open("/tmp/loopwright_marker", "w").write
def f():
    pass
