f = getattr("{0.__class__}", "format")
x = f(1)
