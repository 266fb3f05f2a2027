x = [f for f in (lambda: 1,)]
