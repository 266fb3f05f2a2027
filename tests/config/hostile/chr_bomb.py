x = eval("".join([chr(c) for c in [49]]))
