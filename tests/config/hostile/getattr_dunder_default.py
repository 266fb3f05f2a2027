x = getattr(dict(a=1), "__class__", None)
