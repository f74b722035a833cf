"""Attention-based dropout layer (Choe & Shim, CVPR 2019)."""

import torch
from torch import Tensor

from mmdas.registry import MODELS

from .base import FeatureRegularizer


def attention(features: Tensor) -> Tensor:
    """Mean over the channels: (B, C, h, w) -> (B, 1, h, w)."""
    return features.mean(dim=1, keepdim=True)


def kept_places(attention_map: Tensor, threshold: float) -> Tensor:
    """Where the attention is below a part of its maximum over the image, as 0 and 1: (B, 1, h, w).

    The rest are the most discriminative places, which ADL drops (Sec. 3.1).
    """
    return (attention_map < threshold * attention_map.amax(dim=(2, 3), keepdim=True)).to(attention_map.dtype)


@MODELS.register_module()
class ADL(FeatureRegularizer):
    """Drop the most discriminative places, or weigh all places by their importance (ADL, Choe & Shim, CVPR 2019).

    The attention is the mean over the channels. For each batch and site, one of two maps is drawn and multiplied with
    the features. The *drop mask* is zero where the attention is at least a part of its maximum over the frame. The
    *importance* is the sigmoid of the attention. So the network learns from the less discriminative parts, too.

    Args:
        drop_rate: probability of the drop mask, in [0, 1]. Default: 0.75.
        threshold: part of the maximum from which a place is dropped, in [0, 1]. Default: 0.8.

    Shape:
        features (B*T, C, h, w) -> the same. Differentiable; the mask counts as a constant.

    Raises:
        FeatureError: for settings out of their range.
    """

    def __init__(self, drop_rate: float = 0.75, threshold: float = 0.8) -> None:
        super().__init__()
        self.drop_rate = self.check_share('drop_rate', drop_rate)
        self.threshold = self.check_share('threshold', threshold)

    def regularize(self, features: Tensor, num_frames: int) -> Tensor:
        found = attention(features)
        drops = float(torch.rand(())) < self.drop_rate
        return features * (kept_places(found.detach(), self.threshold) if drops else found.sigmoid())

    def extra_repr(self) -> str:
        return f'drop_rate={self.drop_rate}, threshold={self.threshold}'
