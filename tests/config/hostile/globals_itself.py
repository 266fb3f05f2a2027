globals()["x"] = globals()
