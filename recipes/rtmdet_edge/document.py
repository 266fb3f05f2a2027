# The optimizer and the schedule as published for RTMDet, to the letter. `base_lr` and `max_epochs`
# are what the text leaves open.
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from torch.optim import AdamW

base_lr = 0.004
max_epochs = 300

optim_wrapper=dict(
    type=OptimWrapper,  # Type of optimizer wrapper
    optimizer=dict(type=AdamW, lr=base_lr, weight_decay=0.05),  # Optimizer configuration
    paramwise_cfg=dict(
        norm_decay_mult=0,  # Weight decay multiplier for normalization layers
        bias_decay_mult=0,  # Weight decay multiplier for bias terms
        bypass_duplicate=True,  # Whether to bypass duplicate parameters
    ),
)

param_scheduler=[
    dict(
        type=LinearLR,  # Linear learning rate adjustment
        start_factor=1.0e-5,  # Starting factor
        by_epoch=False,  # Whether to adjust by epoch
        begin=0,  # Iteration to start adjustment
        end=1000,  # Iteration to end adjustment
    ),
    dict(
        type=CosineAnnealingLR,  # Cosine annealing learning rate adjustment
        eta_min=base_lr * 0.05,  # Minimum learning rate
        begin=max_epochs // 2,  # Epoch to start adjustment
        end=max_epochs,  # Epoch to end adjustment
        T_max=max_epochs // 2,  # Cosine cycle
        by_epoch=True,  # Whether to adjust by epoch
        convert_to_iter_based=True,  # Whether to convert to iteration-based adjustment
    ),
]
