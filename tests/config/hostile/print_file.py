import sys
print("x", file=sys.stderr.buffer.write(b"y"))
