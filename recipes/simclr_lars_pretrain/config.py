# SimCLR learns digits without labels; LARS as published, a hook of our own, for 40 epochs.
_base_ = './document.py'
custom_imports = dict(imports=['new_hook'])

max_epochs = 40
a_value = 1
b_value = 0

model = dict(
    type='SimCLR',
    backbone=dict(
        type='ResNet', depth=10, in_channels=1, base_channels=32, num_stages=3, stem='small',
        zero_init_residual=False),
    in_channels=128,
    hidden_channels=128,
    out_channels=64,
    temperature=0.2)

train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    drop_last=True,
    dataset=dict(type='DigitsUnlabelled', split='train', size=16, views=2),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))

param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-4, by_epoch=True, begin=0, end=4,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', T_max=max_epochs - 4, by_epoch=True, begin=4, end=max_epochs,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=max_epochs)
custom_hooks = [
    dict(type='NewHook', a=a_value, b=b_value, priority='ABOVE_NORMAL')
]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=9),
    checkpoint=dict(type='CheckpointHook', interval=20, max_keep_ckpts=1))
randomness = dict(seed=0)
