import importlib
a = importlib.import_module("os")
