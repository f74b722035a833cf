"""Statistics of feature maps that say what style an image has: Gram matrices, means and deviations."""

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-5


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel, (N, C) each."""

    mean: Tensor
    std: Tensor


def gram_matrix(features: Tensor) -> Tensor:
    """Correlations of channels, F F^T / (H W) (Gatys et al., NeurIPS 2015, Eq. 1, divided by the number of places).

    Args:
        features: (N, C, H, W).

    Returns:
        (N, C, C), symmetric. Features that a reflection or any other order of places gives have the same one.
    """
    rows = features.flatten(2)
    return rows @ rows.transpose(1, 2) / rows.shape[2]


def channel_statistics(features: Tensor, epsilon: float = EPSILON) -> Statistics:
    """Mean and standard deviation over the places, in single precision or better.

    Args:
        features: (N, C, H, W), of two places or more.
        epsilon: added to the unbiased variance, so that a channel without variation can be divided by. Default: 1e-5.

    Raises:
        ValueError: for features of a single place, which have no deviation.
    """
    places = features.flatten(2)
    if places.shape[2] < 2:
        raise ValueError(
            f'features of shape {tuple(features.shape)} have a single place and no deviation; take larger images'
        )
    places = places if places.dtype == torch.float64 else places.float()
    return Statistics(places.mean(2), (places.var(2) + epsilon).sqrt())


def with_statistics(features: Tensor, target: Statistics, epsilon: float = EPSILON) -> Tensor:
    """Features with the mean and deviation of another image in each channel (Huang and Belongie, ICCV 2017, Eq. 8).

    Args:
        features: (N, C, H, W).
        target: of N images or one.
        epsilon: see :func:`channel_statistics`.
    """
    own = channel_statistics(features, epsilon)
    mean, std, own_mean, own_std = (value[..., None, None] for value in (*target, *own))
    return (features - own_mean) / own_std * std + mean


def adaptive_instance_norm(content: Tensor, style: Tensor, epsilon: float = EPSILON) -> Tensor:
    """AdaIN: std(s) (c - mean(c)) / std(c) + mean(s), see :func:`with_statistics`.

    Args:
        content, style: (N, C, H, W), of one C; sizes may differ, and there may be one style for all.
        epsilon: see :func:`channel_statistics`.
    """
    return with_statistics(content, channel_statistics(style, epsilon), epsilon)


def interpolate(start: Statistics, end: Statistics, alpha: float | Tensor) -> Statistics:
    """Statistics on the line between two, ``start`` for 0 and ``end`` for 1.

    Args:
        start, end: of N images, or one.
        alpha: one for all, or (N,).
    """
    weight = alpha.to(end.mean)[:, None] if isinstance(alpha, Tensor) else alpha
    return Statistics(*(first + weight * (last - first) for first, last in zip(start, end, strict=True)))
