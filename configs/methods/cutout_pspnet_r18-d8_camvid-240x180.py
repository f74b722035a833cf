# Cutout: a square is covered (DeVries and Taylor 2017).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
augments = [dict(type='mmdas.PolicyAugment', policy='cutout')]
model = dict(data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', augments=augments))
