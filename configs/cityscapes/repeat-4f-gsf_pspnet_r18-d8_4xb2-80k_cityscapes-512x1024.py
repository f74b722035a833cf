# 4 equal copies of the image: what frame fusion brings without any transformation.
_base_ = ['mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py']
num_frames = 4
model = dict(
    type='mmdas.DASEncoderDecoder',
    data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', num_frames=num_frames),
    backbone=dict(
        _delete_=True,
        type='mmdas.FrameFusionBackbone',
        num_frames=num_frames,
        fusion=dict(type='mmdas.GateShiftFuse'),
        backbone={{_base_.model.backbone}},
    ),
    decode_head=dict(
        _delete_=True,
        type='mmdas.TemporalPoolingHead',
        num_frames=num_frames,
        head={{_base_.model.decode_head}},
    ),
    auxiliary_head=dict(
        _delete_=True,
        type='mmdas.TemporalPoolingHead',
        num_frames=num_frames,
        head={{_base_.model.auxiliary_head}},
    ),
)
