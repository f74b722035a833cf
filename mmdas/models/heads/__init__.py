"""Heads that pool their predictions over the frames."""

from .cls_head import build_temporal_pooling_cls_head
from .seg_head import build_temporal_pooling_head
from .temporal_pooling import TemporalPooling

__all__ = ['TemporalPooling', 'build_temporal_pooling_cls_head', 'build_temporal_pooling_head']
