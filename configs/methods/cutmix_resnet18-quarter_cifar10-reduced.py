# CutMix: a box of another image (Yun et al. 2019).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [dict(type='mmdas.CutMix')]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
model = dict(head=dict(cal_acc=False))  # its labels are mixed
