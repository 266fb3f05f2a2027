import os
os.environ = 1
