# WRN-28-10, otherwise as WRN-40-2.
_base_ = ['./wide-resnet-40-2_8xb16_cifar10.py']
model = dict(backbone=dict(depth=28, widen_factor=10), head=dict(in_channels=640))
