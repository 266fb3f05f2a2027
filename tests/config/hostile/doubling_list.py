x = [0]
for i in range(64):
    x = x + x
