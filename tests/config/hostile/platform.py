import sys
x = sys.platform == "linux"
