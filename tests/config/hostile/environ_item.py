import os
x = os.environ["HOME"]
