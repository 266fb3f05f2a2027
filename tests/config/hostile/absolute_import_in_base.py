with read_base():
    from os.path import *
