"""Registered models: data preprocessors, frame-fusing backbones, fusion modules and temporally pooling heads.

What extends one toolbox is imported when it is asked for, so that either toolbox goes without the other; so is what
needs a slow import.
"""

from typing import Any

from mmdas.registry import MODELS, import_part
from mmdas.search.das import DASCell

from .backbones import FrameFusionBackbone
from .data_preprocessors import ImageToClip
from .distillation import AttentionTransfer, ChannelWiseDistillation, KLDistillation
from .features import ADL, DropBlock, MixStyle
from .fusion import FrameFusion, GateShift, GateShiftFuse, TemporalShift
from .heads import TemporalPooling

MODELS.register_module(module=DASCell)

# Name -> module that defines it.
PARTS = {
    'ClipSegmentor': 'mmdas.models.segmentors.clip_segmentor',
    'ClsViewModel': 'mmdas.models.views.cls_view_model',
    'DASCascadeEncoderDecoder': 'mmdas.models.segmentors.clip_segmentor',
    'DASClsDataPreprocessor': 'mmdas.models.data_preprocessors.cls_data_preprocessor',
    'DASEncoderDecoder': 'mmdas.models.segmentors.clip_segmentor',
    'DASImageClassifier': 'mmdas.models.classifiers.clip_classifier',
    'DASSegDataPreProcessor': 'mmdas.models.data_preprocessors.seg_data_preprocessor',
    'SmoothCrossEntropyLoss': 'mmdas.models.losses.smooth_cross_entropy_loss',
    'SegTTAModel': 'mmdas.models.tta.seg_tta',
    'SegViewModel': 'mmdas.models.views.seg_view_model',
    'TemporalPoolingClsHead': 'mmdas.models.heads.cls_head',
    'TemporalPoolingHead': 'mmdas.models.heads.seg_head',
    'WideResNet': 'mmdas.models.backbones.wide_resnet',
}


# Former names of what is a class now.
FORMER = {
    'build_frame_fusion_backbone': 'FrameFusionBackbone',
    'build_temporal_pooling_cls_head': 'TemporalPoolingClsHead',
    'build_temporal_pooling_head': 'TemporalPoolingHead',
}


def __getattr__(name: str) -> Any:
    name = FORMER.get(name, name)
    return globals()[name] if name in globals() else import_part(__name__, PARTS, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PARTS})


__all__ = [
    'ADL',
    'AttentionTransfer',
    'ChannelWiseDistillation',
    'DASCell',
    'DropBlock',
    'FrameFusion',
    'FrameFusionBackbone',
    'GateShift',
    'GateShiftFuse',
    'ImageToClip',
    'KLDistillation',
    'MixStyle',
    'TemporalPooling',
    'TemporalShift',
    *PARTS,
]
