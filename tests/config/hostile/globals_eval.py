x = [v for k, v in globals().items() if k == "__loader__"][0].load_module("os")
