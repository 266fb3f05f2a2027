import torch
x = torch.load("a.pth")
