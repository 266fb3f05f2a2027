a = []
a.append(a)
