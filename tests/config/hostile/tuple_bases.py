a = ().__class__.__bases__
