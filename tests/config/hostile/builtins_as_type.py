hook = dict(type=print)
