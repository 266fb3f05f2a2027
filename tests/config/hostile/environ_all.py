import os
x = [k for k in os.environ]
