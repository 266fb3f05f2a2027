import copy
a = [1]
for i in range(60):
    a = [a, a]
x = copy.deepcopy(a)
