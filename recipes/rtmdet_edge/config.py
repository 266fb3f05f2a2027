# A small RTMDet finds digits in scenes; the published optimizer and schedule, for 16 epochs.
from mmengine.config import read_base

with read_base():
    from .document import *

max_epochs = 16

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

# The same schedule over 16 epochs of 38 iterations: a short warm-up, cosine in the second half.
param_scheduler[0].update(end=50)
param_scheduler[1].update(begin=max_epochs // 2, end=max_epochs, T_max=max_epochs // 2)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(type='CheckpointHook', interval=8, max_keep_ckpts=1),
    visualization=dict(type='DetVisualizationHook', draw=True, interval=4))
randomness = dict(seed=0)
