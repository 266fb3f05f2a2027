x = hasattr([], "__class__")
