x = list(map(range, range(10**10)))
