from mmengine import ConfigDict

m = ConfigDict(l=[0] * 100_000)
x = [m.copy() for i in range(100_000)]
