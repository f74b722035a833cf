# 4 equal copies of the image: what frame fusion brings without any transformation.
_base_ = ['mmpretrain::resnet/resnet152_8xb16_cifar10.py']
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
