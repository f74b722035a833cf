# Four equal copies of the image: what frame fusion brings without any transformation.
_base_ = ['./pspnet_r18-d8_camvid-240x180.py']
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
        _delete_=True, type='mmdas.TemporalPoolingHead', num_frames=num_frames, head={{_base_.model.decode_head}}
    ),
    auxiliary_head=dict(
        _delete_=True, type='mmdas.TemporalPoolingHead', num_frames=num_frames, head={{_base_.model.auxiliary_head}}
    ),
)
