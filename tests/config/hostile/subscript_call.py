x = [1][open("/tmp/loopwright_marker", "w")]
