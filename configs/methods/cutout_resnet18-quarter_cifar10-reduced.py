# Cutout: a square is covered (DeVries and Taylor 2017).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [dict(type='mmdas.PolicyAugment', policy='cutout')]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
