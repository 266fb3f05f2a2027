import os
os.environ["PATH"] = "/tmp"
