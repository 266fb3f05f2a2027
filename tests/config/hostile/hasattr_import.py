import os

x = hasattr(os, "system")
