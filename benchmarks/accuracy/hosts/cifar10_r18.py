# MMPretrain's ResNet-18 for CIFAR-10 with all of cifar10-jpeg, on one GPU in mixed precision, at a constant rate.
_base_ = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'
custom_imports = dict(imports=['benchmarks.accuracy.jpeg_cifar10'], allow_failed_imports=False)
model = dict(head=dict(topk=(1,), cal_acc=True))
dataset = dict(_delete_=True, type='JPEGCIFAR10', data_root='data/cifar10-jpeg')
train_dataloader = dict(
    batch_size=256,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(**dataset, split='train', pipeline={{_base_.train_pipeline}}),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(**dataset, split='test', pipeline={{_base_.test_pipeline}}),
)
test_dataloader = val_dataloader
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    loss_scale=1.0,
    optimizer=dict(lr=0.1, weight_decay=5e-4, nesterov=True),
)
param_scheduler = []
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=3920, val_interval=3920)
default_hooks = dict(logger=dict(interval=1000), checkpoint=None)
env_cfg = dict(cudnn_benchmark=True)
