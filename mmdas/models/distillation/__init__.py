"""Distillation: a student learns from the logits of a frozen teacher, and stays the plain model that it is."""

from .cached_logits import CachedLogits
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
from .self_taught import SelfDistillation, SelfTaught, release_from_itself, teach_itself
from .teacher import Teacher

__all__ = [
    'AttentionTransfer',
    'CachedLogits',
    'ChannelWiseDistillation',
    'Distillation',
    'DistillationError',
    'DistillationLoss',
    'Distilled',
    'FeatureDistillation',
    'KLDistillation',
    'SelfDistillation',
    'SelfTaught',
    'Teacher',
    'attention_map',
    'channel_wise_divergence',
    'distil',
    'kl_divergence',
    'release',
    'release_from_itself',
    'teach_itself',
]
