try:
    while True:
        pass
except BaseException:
    x = 1
