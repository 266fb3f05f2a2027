from mmengine.config import read_base
with read_base():
    from .base import model, lst as l9
import torch
