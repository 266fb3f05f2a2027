hook = dict(type=exec)
