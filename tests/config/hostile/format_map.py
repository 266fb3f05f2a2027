x = "{a.__class__}".format_map(dict(a=1))
