# Detection in mixed precision on annotations with bad boxes: the notebook's four points as a config.
_base_ = '../_base_/digits_detection.py'

# A. Autocast, a gradient scaler where the type is float16, and clipping after unscale_.
# bfloat16 is what a CPU computes fast and needs no scaler; float16.py has the notebook's float16.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, bypass_duplicate=True),
    clip_grad=dict(max_norm=10.0))

# B. Warm restarts, moved after every iteration: cycles of 2, 4 and 10 epochs, each ends near zero.
param_scheduler = [
    dict(
        type='CosineRestartLR',
        by_epoch=False,
        periods=[epochs * _base_.iters_per_epoch for epochs in (2, 4, 10)],
        restart_weights=[1.0, 1.0, 1.0],
        eta_min=4e-5)
]

# C. torch.compile, in place, with its two limits set together: of the networks, not of the losses,
# where the number of objects changes from batch to batch. Off, since a CPU compiles longer than it
# trains here; `compile.enabled=True` on the command line turns it on.
compile = dict(
    enabled=False,
    modules=['backbone', 'neck', 'bbox_head'],
    dynamic='batch',
    recompile_limit=512)

# D. Boxes over the border, corners the wrong way round, and more: repaired, each counted.
planted = dict(
    reversed=120, partly_outside=90, outside=40, too_small=30, not_finite=20, duplicate=60)
train_dataloader = dict(
    dataset=dict(
        planted=planted,
        policy=dict(reversed='repair', partly_outside='clip', budget=0.15)))
