with read_base(), open("/tmp/loopwright_marker", "w"):
    pass
