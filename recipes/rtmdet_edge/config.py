# A small RTMDet finds digits in scenes; the published optimizer and schedule, for 16 epochs.
from mmengine.config import read_base

with read_base():
    from .._base_.digits_detection import *
    from .document import *

max_epochs = 16

# The same schedule over 16 epochs of 38 iterations: a short warm-up, cosine in the second half.
param_scheduler[0].update(end=50)
param_scheduler[1].update(begin=max_epochs // 2, end=max_epochs, T_max=max_epochs // 2)
