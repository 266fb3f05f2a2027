from torch.optim import AdamW, SGD as Plain
import torch.nn as nn
import torch

optimizer = dict(type=AdamW, lr=1e-3, kinds=[Plain, nn.Conv2d])
hooks = dict(timer=dict(type='T'), logger=dict(interval=10))
layer = torch.nn.functional.relu
max_epochs = 10
