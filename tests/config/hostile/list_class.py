x = [].__class__
