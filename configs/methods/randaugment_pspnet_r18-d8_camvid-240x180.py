# RandAugment: two operations, each at the same level (Cubuk et al. 2020).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
augments = [dict(type='mmdas.PolicyAugment', policy='randaugment')]
model = dict(data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', augments=augments))
