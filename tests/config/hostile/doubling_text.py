x = "ab"
for i in range(64):
    x += x
