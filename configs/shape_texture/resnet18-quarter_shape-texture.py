# A quarter-width ResNet-18 that may learn the digit or its texture: half a minute on a CPU core.
_base_ = [
    'mmpretrain::_base_/models/resnet18_cifar.py',
    '../_base_/datasets/shape_texture.py',
    'mmpretrain::_base_/schedules/cifar10_bs128.py',
    'mmpretrain::_base_/default_runtime.py',
]
max_epochs = 8
model = dict(
    backbone=dict(base_channels=16, stem_channels=16),
    head=dict(in_channels=128, cal_acc=True),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=3e-3, weight_decay=0.05))
param_scheduler = dict(
    _delete_=True, type='OneCycleLR', eta_max=3e-3, by_epoch=True, total_steps=max_epochs, convert_to_iter_based=True
)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
default_hooks = dict(checkpoint=dict(interval=max_epochs), logger=dict(interval=20))
randomness = dict(seed=0)
