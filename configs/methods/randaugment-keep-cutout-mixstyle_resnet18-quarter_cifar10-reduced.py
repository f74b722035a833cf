# RandAugment, KeepCutout, MixStyle, together.
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [
    dict(type='mmdas.PolicyAugment', policy='randaugment'),
    dict(type='mmdas.KeepCutout', saliency='low'),
]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.MixStyle'))]
