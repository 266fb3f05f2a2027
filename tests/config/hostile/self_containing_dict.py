a = dict()
a["a"] = a
