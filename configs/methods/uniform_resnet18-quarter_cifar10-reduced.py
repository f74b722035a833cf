# The operations of DDAS drawn uniformly: what a search has to beat (Liu et al. 2021).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [dict(type='mmdas.PolicyAugment', policy='uniform')]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
