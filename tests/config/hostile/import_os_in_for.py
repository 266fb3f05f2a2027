for i in range(1):
    import os as o
    o.remove("x")
