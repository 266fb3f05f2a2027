while True:
    try:
        open("/tmp/loopwright_marker", "w")
    except:
        pass
