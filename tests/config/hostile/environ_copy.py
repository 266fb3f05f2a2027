import os
x = dict(os.environ)
