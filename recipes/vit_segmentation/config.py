# A ViT with a UPerNet head finds digits on textured canvases and tells which they are; the published
# schedule, shortened.
_base_ = './document.py'

classes = 11  # background and ten digits
max_iters = 1500
warmup = 150

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[0.3], std=[0.3]),
    backbone=dict(
        type='VisionTransformer',
        img_size=32,
        patch_size=4,
        in_channels=1,
        embed_dims=64,
        num_layers=12,
        num_heads=4,
        residual_init=0.1,
        out_type='featmap',
        out_indices=(2, 5, 8, 11)),
    neck=dict(type='Feature2Pyramid', embed_dim=64, rescales=(4, 2, 1, 0.5)),
    decode_head=dict(
        type='UPerHead', in_channels=(64, 64, 64, 64), channels=24, num_classes=classes,
        dropout_ratio=0,
        # Digits are a sixth of the pixels: unweighted, some seeds call everything background.
        class_weight=(0.5, *[2.0] * 10)))

scenes = dict(type='DigitScenes', task='segmentation', size=32, most=2, side=(0.5, 0.7))

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(scenes, split='train', count=3000, augment=True),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))
val_dataloader = dict(
    batch_size=25,
    num_workers=0,
    dataset=dict(scenes, split='val'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))
test_dataloader = dict(
    batch_size=25,
    num_workers=0,
    dataset=dict(scenes, split='test'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU', 'mDice'])
test_evaluator = val_evaluator

# What the CPU form changes: 1500 iterations from scratch need a larger rate than 80k of fine-tuning.
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=warmup),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        T_max=max_iters - warmup,
        begin=warmup,
        end=max_iters,
        by_epoch=False,
    )
]
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=500, max_keep_ckpts=1),
    visualization=dict(interval=10))
randomness = dict(seed=0)
