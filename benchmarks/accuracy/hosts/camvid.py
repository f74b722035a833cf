# A small plain segmentor: an FCN on MMSegmentation's ResNet-18 with three stages at quarter width and stride 8, from
# scratch at a constant rate, on every third training image (neighbouring ones are frames of one video) at 128 x 96.
_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    '../../../configs/_base_/datasets/camvid.py',
    'mmseg::_base_/default_runtime.py',
]
scale = (128, 96)
crop_size = (96, 96)
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=3,
        strides=(1, 2, 1),
        dilations=(1, 1, 2),
        out_indices=(0, 1, 2),
        base_channels=16,
        stem_channels=16,
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(in_channels=64, in_index=2, channels=64, num_convs=1, num_classes=11, norm_cfg=norm_cfg),
    auxiliary_head=None,
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=scale, ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline, indices=list(range(0, 367, 3))),
)
val_dataloader = dict(
    num_workers=0,
    dataset=dict(data_prefix=dict(img_path='test', seg_map_path='testannot'), pipeline=test_pipeline),
)
test_dataloader = val_dataloader
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=800, val_interval=800)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=1000, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=None,
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
