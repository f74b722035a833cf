# CutMix, label smoothing, together.
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
augments = [dict(type='mmdas.SegCutMix')]
smooth = dict(type='mmdas.SmoothCrossEntropyLoss', smoothing=0.1)
model = dict(
    data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', augments=augments),
    decode_head=dict(loss_decode=smooth),
    auxiliary_head=dict(loss_decode=smooth),
)
