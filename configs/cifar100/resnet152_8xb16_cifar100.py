# As MMPretrain's ResNet-50 for CIFAR-100.
_base_ = ['mmpretrain::resnet/resnet50_8xb16_cifar100.py']
model = dict(backbone=dict(depth=152))
