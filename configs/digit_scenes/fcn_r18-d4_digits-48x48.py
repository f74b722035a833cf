# The plain 2-D model: FCN on three stages of a quarter-width ResNet-18, small enough for two CPU cores.
# It learns in few steps: no weight starts near zero, nothing is dropped, and the rate is high.
_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/digit_scenes.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py',
]
max_iters = 300
warmup = 45
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
        zero_init_residual=False,
    ),
    decode_head=dict(
        in_channels=64,
        in_index=2,
        channels=64,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        num_classes=11,
        norm_cfg=norm_cfg,
        # Six pixels of seven are background: without the weight a short training learns nothing else.
        loss_decode=dict(class_weight=[0.2] + [1.0] * 10),
        init_cfg=dict(type='Normal', std=0.1, override=dict(name='conv_seg')),
    ),
    auxiliary_head=None,
)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.3, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, begin=0, end=warmup, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, T_max=max_iters - warmup, begin=warmup, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters), logger=dict(interval=20))
randomness = dict(seed=0)
