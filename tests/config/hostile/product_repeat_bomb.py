from itertools import product
x = product([1, 2], repeat=10**12)
