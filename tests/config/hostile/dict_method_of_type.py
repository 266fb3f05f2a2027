x = dict.__subclasses__()
