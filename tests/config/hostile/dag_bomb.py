a = dict(x=1)
for i in range(60):
    a = dict(x=[a, a])
