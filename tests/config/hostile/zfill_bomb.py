x = "a".zfill(10**9)
