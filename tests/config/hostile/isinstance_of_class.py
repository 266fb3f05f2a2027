x = isinstance((), ().__class__)
