# RandAugment, label smoothing, together.
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [dict(type='mmdas.PolicyAugment', policy='randaugment')]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
model = dict(head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)))
