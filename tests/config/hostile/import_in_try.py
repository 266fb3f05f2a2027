try:
    import os
    os.system("touch /tmp/loopwright_marker")
except Exception:
    pass
