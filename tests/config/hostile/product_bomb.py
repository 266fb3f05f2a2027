from itertools import product
x = len(product(range(1000), repeat=9))
