x = dict(**open("/tmp/loopwright_marker", "w"))
