x = [].append.__self__
