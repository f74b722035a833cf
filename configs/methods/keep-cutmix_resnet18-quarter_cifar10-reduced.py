# KeepCutMix: a box of another image on a region that matters little (Gong et al. 2021).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
augments = [dict(type='mmdas.KeepCutMix', saliency='low')]
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=augments)
model = dict(head=dict(cal_acc=False))  # its labels are mixed
