# A small plain classifier: MMPretrain's ResNet-18 with three stages at quarter width, from scratch, at a constant rate.
_base_ = [
    'mmpretrain::_base_/models/resnet18.py',
    'mmpretrain::_base_/datasets/cifar10_bs16.py',
    'mmpretrain::_base_/schedules/cifar10_bs128.py',
    'mmpretrain::_base_/default_runtime.py',
]
custom_imports = dict(imports=['benchmarks.accuracy.jpeg_cifar10'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,), base_channels=16, stem_channels=16
    ),
    head=dict(in_channels=64, num_classes=10, topk=(1,), cal_acc=True),
)
dataset = dict(_delete_=True, type='JPEGCIFAR10', data_root='data/cifar10-jpeg')
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(**dataset, split='train', per_class=200, pipeline={{_base_.train_pipeline}}),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(**dataset, split='test', pipeline={{_base_.test_pipeline}}),
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.05, weight_decay=5e-4, nesterov=True))
param_scheduler = []
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=2400, val_interval=2400)
default_hooks = dict(logger=dict(interval=1000), checkpoint=None)
