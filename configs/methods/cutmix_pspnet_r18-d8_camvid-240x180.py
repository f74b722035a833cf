# CutMix: a box of another image (Yun et al. 2019).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
augments = [dict(type='mmdas.SegCutMix')]
model = dict(data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', augments=augments))
