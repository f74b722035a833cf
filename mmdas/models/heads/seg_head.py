"""Temporal pooling for decode heads."""

from collections.abc import Mapping

from torch import nn

from mmdas.registry import MODELS

from .frame_pooled_head import pool_head


@MODELS.register_module(name='TemporalPoolingHead')
def build_temporal_pooling_head(head: Mapping | nn.Module, num_frames: int, pooling: str = 'mean') -> nn.Module:
    """Any decode or auxiliary head of MMSegmentation whose ``forward`` returns logits, pooled over the frames.

    The result *is* the host's head: its keys, loss, sampler, samples per class and threshold stay as they are.

    Args:
        head: config of the head, or the module, which is changed.
        num_frames: T >= 1; with one frame the head stays plain.
        pooling: ``'mean'``, ``'reference'``, ``'max'`` or ``'attention'``, see :class:`TemporalPooling`.

    Shape:
        features (B*T, C, h, w) -> logits (B, K, h, w).

    Raises:
        ValueError: for an unknown pooling, or as soon as frames and images do not fit.
    """
    return pool_head(head, num_frames, pooling, channels_of='out_channels')
