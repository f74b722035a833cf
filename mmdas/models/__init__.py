"""Registered models: data preprocessors, frame-fusing backbones, fusion modules and temporally pooling heads."""

from mmdas.registry import MODELS
from mmdas.search.das import DASCell

from .backbones import build_frame_fusion_backbone
from .data_preprocessors import DASClsDataPreprocessor, DASSegDataPreProcessor
from .fusion import GateShift, GateShiftFuse, TemporalShift
from .heads import TemporalPooling, build_temporal_pooling_cls_head, build_temporal_pooling_head
from .segmentors import ClipSegmentor, DASCascadeEncoderDecoder, DASEncoderDecoder
from .tta import SegTTAModel

MODELS.register_module(module=DASCell)

__all__ = [
    'ClipSegmentor',
    'DASCascadeEncoderDecoder',
    'DASCell',
    'DASClsDataPreprocessor',
    'DASEncoderDecoder',
    'DASSegDataPreProcessor',
    'GateShift',
    'GateShiftFuse',
    'SegTTAModel',
    'TemporalPooling',
    'TemporalShift',
    'build_frame_fusion_backbone',
    'build_temporal_pooling_cls_head',
    'build_temporal_pooling_head',
]
