a = __import__("os").system("true")
