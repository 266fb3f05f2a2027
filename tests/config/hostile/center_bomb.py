x = "a".center(10**9)
