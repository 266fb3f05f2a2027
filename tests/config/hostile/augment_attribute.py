import os
os.path += 1
