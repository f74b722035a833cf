# MixStyle: channels take the mean and deviation of another image's (Zhou et al. 2021).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.MixStyle'))]
