# KeepCutout: covers a region that matters little (Gong et al. 2021).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [dict(type='mmdas.KeepCutout', saliency='low')]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
