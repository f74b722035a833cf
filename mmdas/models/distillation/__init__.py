"""Distillation: a student learns from the logits of a frozen teacher, and stays the plain model that it is."""

from .distilled import Distillation, Distilled, distil, release
from .error import DistillationError
from .features import AttentionTransfer, FeatureDistillation, attention_map
from .losses import (
    ChannelWiseDistillation,
    DistillationLoss,
    KLDistillation,
    channel_wise_divergence,
    kl_divergence,
)
from .teacher import Teacher

__all__ = [
    'AttentionTransfer',
    'ChannelWiseDistillation',
    'Distillation',
    'DistillationError',
    'DistillationLoss',
    'Distilled',
    'FeatureDistillation',
    'KLDistillation',
    'Teacher',
    'attention_map',
    'channel_wise_divergence',
    'distil',
    'kl_divergence',
    'release',
]
