x = [1]
x.sort(key=str)
