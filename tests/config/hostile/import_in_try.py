try:
    import os
except Exception:
    pass
