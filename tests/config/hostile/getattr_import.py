import os

getattr(os, "system")("true")
