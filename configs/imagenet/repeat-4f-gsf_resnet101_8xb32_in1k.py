# 4 equal copies of the image: what frame fusion brings without any transformation.
_base_ = ['mmpretrain::resnet/resnet101_8xb32_in1k.py']
num_frames = 4
data_preprocessor = dict(type='mmdas.DASClsDataPreprocessor', num_frames=num_frames)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdas.FrameFusionBackbone',
        num_frames=num_frames,
        fusion=dict(type='mmdas.GateShiftFuse'),
        backbone={{_base_.model.backbone}},
    ),
    head=dict(
        _delete_=True,
        type='mmdas.TemporalPoolingClsHead',
        num_frames=num_frames,
        head={{_base_.model.head}},
    ),
)
