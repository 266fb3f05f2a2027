x = "aa"
for i in range(64):
    x = x.replace("a", x)
