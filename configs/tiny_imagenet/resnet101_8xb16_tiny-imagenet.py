# MMPretrain's ResNet for small images (no pooling after the first convolution) with its schedule for CIFAR-10.
_base_ = [
    'mmpretrain::_base_/models/resnet101_cifar.py',
    '../_base_/datasets/tiny_imagenet.py',
    'mmpretrain::_base_/schedules/cifar10_bs128.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(head=dict(num_classes=200))
