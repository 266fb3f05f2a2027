from mmengine.config import read_base
with read_base():
    open("/tmp/loopwright_marker", "w")
