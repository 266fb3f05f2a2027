@(lambda f: __import__("os").system("touch /tmp/loopwright_marker"))
def g():
    pass
