# RandAugment: two operations, each at the same level (Cubuk et al. 2020).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [dict(type='mmdas.PolicyAugment', policy='randaugment')]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
