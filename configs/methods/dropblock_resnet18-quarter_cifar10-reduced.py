# DropBlock: square blocks of features become zero (Ghiasi et al. 2018).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.DropBlock'))]
