x = globals()
