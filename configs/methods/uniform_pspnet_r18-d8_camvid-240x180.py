# The operations of DDAS drawn uniformly: what a search has to beat (Liu et al. 2021).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
augments = [dict(type='mmdas.PolicyAugment', policy='uniform')]
model = dict(data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', augments=augments))
