# KeepCutMix: a box of another image on a region that matters little (Gong et al. 2021).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
augments = [dict(type='mmdas.KeepCutMix', saliency='low')]
model = dict(data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', augments=augments))
