import os
del os.environ
