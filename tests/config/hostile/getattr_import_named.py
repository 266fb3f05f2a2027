import os

run = getattr(os, "system")
run("true")
