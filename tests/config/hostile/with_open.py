with open("/tmp/loopwright_marker", "w") as f:
    f.write("x")
