# Hide-and-Seek: cells of a grid are hidden (Singh and Lee 2017).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [dict(type='mmdas.HideAndSeek')]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
