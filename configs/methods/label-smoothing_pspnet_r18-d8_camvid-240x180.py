# Label smoothing: 0.1 of the probability is shared by all classes (Szegedy et al. 2016).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
smooth = dict(type='mmdas.SmoothCrossEntropyLoss', smoothing=0.1)
model = dict(
    decode_head=dict(loss_decode=smooth),
    auxiliary_head=dict(loss_decode=smooth),
)
