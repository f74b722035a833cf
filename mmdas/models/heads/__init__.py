"""Heads that pool their predictions over the frames; those of each toolbox are imported when they are asked for."""

from .frame_pooled_head import FramePooledHead
from .temporal_pooling import TemporalPooling

__all__ = ['FramePooledHead', 'TemporalPooling']
