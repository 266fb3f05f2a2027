x = (y := open("/tmp/loopwright_marker", "w"))
