import os
x = os.environ.pop("HOME")
