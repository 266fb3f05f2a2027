# A masked autoencoder learns digits without labels; the published optimizer, for 130 epochs.
_base_ = './document.py'

max_epochs = 130
warmup = 13

model = dict(
    type='MAE',
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[0.3], std=[0.35]),
    backbone=dict(
        type='VisionTransformer', img_size=16, patch_size=4, in_channels=1, embed_dims=96,
        num_layers=4, num_heads=4, out_type='raw'),
    decoder_dims=64,
    decoder_layers=2,
    decoder_heads=4,
    # A digit has little to spare: half of its patches, not three quarters, and pixels as they are.
    mask_ratio=0.5,
    norm_pix=False,
    feat_type='tokens')

train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    drop_last=True,
    dataset=dict(type='DigitsUnlabelled', split='train', size=16, views=1),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))

# The published rate, 2.4e-3, as it is; the schedule over 130 epochs in place of 400.
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-4, by_epoch=True, begin=0, end=warmup,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', T_max=max_epochs - warmup, by_epoch=True, begin=warmup,
        end=max_epochs, convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=max_epochs)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=9),
    checkpoint=dict(type='CheckpointHook', interval=65, max_keep_ckpts=1))
randomness = dict(seed=0)
