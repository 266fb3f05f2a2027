x = [1]
x.sort(key=lambda v: v)
