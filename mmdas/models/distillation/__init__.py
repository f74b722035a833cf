"""Distillation: a student learns from the logits of a frozen teacher, and stays the plain model that it is."""

from .build_losses import build_losses, description, loss_configs
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
from .teacher import Teacher, check_views

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
    'build_losses',
    'channel_wise_divergence',
    'check_views',
    'description',
    'distil',
    'kl_divergence',
    'loss_configs',
    'release',
    'release_from_itself',
    'teach_itself',
]
