# A small RTMDet and scenes of digits with their boxes: what the two detection recipes share.
max_epochs = 16
iters_per_epoch = 38  # 600 scenes in batches of 16

model = dict(
    type='RTMDet',
    backbone=dict(type='CSPNeXt', in_channels=1, widths=(16, 32, 48, 64), blocks=1, out_stages=3),
    neck=dict(type='CSPNeXtPAFPN', in_channels=(32, 48, 64), out_channels=48),
    bbox_head=dict(
        type='RTMDetSepBNHead', num_classes=10, in_channels=48, feat_channels=48,
        stacked_convs=1, strides=(4, 8, 16)))

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(type='DigitScenes', split='train', task='detection', count=600, augment=True),
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

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(type='CheckpointHook', interval=8, max_keep_ckpts=1),
    visualization=dict(type='DetVisualizationHook', draw=True, interval=4))
randomness = dict(seed=0)
