# ADL: the places of highest attention are dropped (Choe and Shim 2019).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.ADL'))]
