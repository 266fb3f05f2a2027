# A small convolutional network on scikit-learn's handwritten digits, validated each epoch.
max_epochs = 25
base_lr = 2e-3

model = [
    dict(type='Conv2d', in_channels=1, out_channels=32, kernel_size=3, padding=1, bias=False),
    dict(type='BatchNorm2d', num_features=32),
    dict(type='ReLU'),
    dict(type='Conv2d', in_channels=32, out_channels=64, kernel_size=3, padding=1, bias=False),
    dict(type='BatchNorm2d', num_features=64),
    dict(type='ReLU'),
    dict(type='MaxPool2d', kernel_size=2),
    dict(type='Flatten'),
    dict(type='Dropout', p=0.3),
    dict(type='Linear', in_features=64 * 4 * 4, out_features=10),
]
loss = dict(type='CrossEntropyLoss', label_smoothing=0.05)

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    dataset=dict(type='DigitsClassification', split='train', augment=True),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))
val_dataloader = dict(
    batch_size=256,
    num_workers=0,
    dataset=dict(type='DigitsClassification', split='val'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))
test_dataloader = dict(
    batch_size=256,
    num_workers=0,
    dataset=dict(type='DigitsClassification', split='test'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=base_lr, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0.),
    clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=True, begin=0, end=2,
         convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=max_epochs - 2, by_epoch=True, begin=2, end=max_epochs,
         convert_to_iter_based=True),
]

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_evaluator = val_evaluator

default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(type='CheckpointHook', interval=5, max_keep_ckpts=2, save_best='auto'))
custom_hooks = [dict(type='CurvesHook')]
randomness = dict(seed=0)
# One thread: a network this small only loses time by sharing its work.
env_cfg = dict(num_threads=1)
