# Detection in mixed precision on annotations with bad boxes: the notebook's four points as a config.
max_epochs = 16
iters_per_epoch = 38

model = dict(
    type='RTMDet',
    backbone=dict(type='CSPNeXt', in_channels=1, widths=(16, 32, 48, 64), blocks=1, out_stages=3),
    neck=dict(type='CSPNeXtPAFPN', in_channels=(32, 48, 64), out_channels=48),
    bbox_head=dict(
        type='RTMDetSepBNHead', num_classes=10, in_channels=48, feat_channels=48,
        stacked_convs=1, strides=(4, 8, 16)))

# D. Boxes over the border, corners the wrong way round, and more: repaired, each counted.
planted = dict(
    reversed=120, partly_outside=90, outside=40, too_small=30, not_finite=20, duplicate=60)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(
        type='DigitScenes', split='train', task='detection', count=600, augment=True,
        planted=planted,
        policy=dict(reversed='repair', partly_outside='clip', budget=0.15)),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'))
val_dataloader = dict(
    batch_size=25,
    num_workers=0,
    dataset=dict(type='DigitScenes', split='val', task='detection'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'))
test_dataloader = dict(
    batch_size=25,
    num_workers=0,
    dataset=dict(type='DigitScenes', split='test', task='detection'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'))
val_evaluator = dict(type='CocoMetric')
test_evaluator = val_evaluator

# A. Autocast, a gradient scaler where the type is float16, and clipping after unscale_.
# bfloat16 is what a CPU computes fast; on a GPU set dtype='float16', loss_scale='dynamic'.
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
        periods=[2 * iters_per_epoch, 4 * iters_per_epoch, 10 * iters_per_epoch],
        restart_weights=[1.0, 1.0, 1.0],
        eta_min=4e-5)
]

# C. torch.compile, in place, with its two limits set together. Off for a run of two minutes.
compile = dict(enabled=False, recompile_limit=512)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(type='CheckpointHook', interval=8, max_keep_ckpts=1),
    visualization=dict(type='DetVisualizationHook', draw=True, interval=4))
randomness = dict(seed=0)
