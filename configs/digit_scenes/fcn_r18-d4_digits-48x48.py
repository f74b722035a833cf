# The plain 2-D model: FCN on three stages of a quarter-width ResNet-18, small enough for two CPU cores.
_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/digit_scenes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py',
]
max_iters = 600
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(48, 48)),
    backbone=dict(
        depth=18,
        base_channels=16,
        stem_channels=16,
        num_stages=3,
        strides=(1, 1, 1),
        dilations=(1, 1, 2),
        out_indices=(0, 1, 2),
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        in_channels=64,
        in_index=2,
        channels=64,
        num_convs=1,
        num_classes=11,
        norm_cfg=norm_cfg,
        # Six pixels of seven are background: without the weight a short training learns nothing else.
        loss_decode=dict(class_weight=[0.2] + [1.0] * 10),
    ),
    auxiliary_head=None,
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=3e-3, weight_decay=0.01))
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters), logger=dict(interval=10))
randomness = dict(seed=0)
