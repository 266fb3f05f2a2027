open('/tmp/loopwright_marker', 'w').write("x")
