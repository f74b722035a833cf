"""MixStyle (Zhou et al., ICLR 2021): an image with the feature statistics of a mixture of two."""

import torch
from torch import Tensor
from torch.distributions import Beta

from mmdas.ops.clip import split_frames
from mmdas.registry import MODELS

from .base import FeatureRegularizer
from .error import FeatureError

PARTNERS = ('random', 'crossdomain')


def style(features: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the places, as constants.

    Args:
        features: (..., C, h, w) with at least two places.
        eps: added to the variance.

    Returns:
        two tensors (..., C, 1, 1).
    """
    variance, mean = torch.var_mean(features.detach(), dim=(-2, -1), keepdim=True)
    return mean, (variance + eps).sqrt()


def mix_styles(features: Tensor, partners: Tensor, own: Tensor, eps: float = 1e-6) -> Tensor:
    """Give features the mixed statistics of their own image and of a partner (Eq. 4 to 6).

    Args:
        features: (B, ..., C, h, w).
        partners: (B,), places in the batch.
        own: (B,), part in [0, 1] of the statistics that stays the image's own; 1 leaves the features as they are.
        eps: added to the variance. Default: 1e-6.

    Returns:
        (B, ..., C, h, w). The statistics count as constants in the gradient.
    """
    mean, deviation = style(features, eps)
    part = own.to(features).view(-1, *[1] * (features.ndim - 1))
    mixed_mean, mixed_deviation = (part * value + (1 - part) * value[partners] for value in (mean, deviation))
    return (features - mean) / deviation * mixed_deviation + mixed_mean


@MODELS.register_module()
class MixStyle(FeatureRegularizer):
    """Mix the mean and deviation of each channel with those of another image (MixStyle, Zhou et al., ICLR 2021).

    The contents stay, their style changes: a cheap augmentation against a change of the domain. One coin a batch and
    site decides whether styles are mixed. A frame mixes with the same frame of the partner, by the same part.

    Args:
        probability: that a batch is mixed, in [0, 1]. Default: 0.5.
        alpha: > 0; the part of an image's own style has the distribution Beta(alpha, alpha). Default: 0.1.
        eps: > 0, added to the variance. Default: 1e-6.
        partners: ``'random'``, or ``'crossdomain'`` where the first half of each batch is of one domain and the second
            half of another one: partners are then of the other half, but for the middle image of an odd batch.
            Default: ``'random'``.

    Shape:
        features (B*T, C, h, w) with h*w > 1 -> the same. A batch of one image stays as it is.

    Raises:
        FeatureError: for settings out of their range; in a call for maps of one place, which have no deviation.
    """

    stages = (0, 1)

    def __init__(
        self, probability: float = 0.5, alpha: float = 0.1, eps: float = 1e-6, partners: str = 'random'
    ) -> None:
        super().__init__()
        for name, value in (('alpha', alpha), ('eps', eps)):
            if not value > 0:
                raise FeatureError(f'{name} of mmdas.MixStyle must be above 0, got {value}')
        if partners not in PARTNERS:
            raise FeatureError(f'partners of mmdas.MixStyle must be one of {PARTNERS}, got {partners!r}')
        self.probability = self.check_share('probability', probability)
        self.alpha, self.eps, self.partners = alpha, eps, partners

    def regularize(self, features: Tensor, num_frames: int) -> Tensor:
        if features[0, 0].numel() < 2:
            raise FeatureError(
                f'mmdas.MixStyle needs maps of several places, got the shape {tuple(features.shape)}; name earlier '
                'sites, or take larger images'
            )
        count = len(features) // num_frames
        if float(torch.rand(())) >= self.probability or count < 2:
            return features
        own = Beta(self.alpha, self.alpha).sample((count,))
        partners = draw_partners(count, self.partners == 'crossdomain').to(features.device)
        frames = split_frames(features.float(), num_frames)  # (B, T, C, h, w)
        return mix_styles(frames, partners, own, self.eps).flatten(0, 1).to(features.dtype)

    def extra_repr(self) -> str:
        return f'probability={self.probability}, alpha={self.alpha}, eps={self.eps}, partners={self.partners!r}'


def draw_partners(count: int, across: bool = False) -> Tensor:
    """A permutation of a batch; ``across`` its two halves, each in a random order."""
    if not across:
        return torch.randperm(count)
    swapped = torch.arange(count - 1, -1, -1).chunk(2)  # the later images first
    return torch.cat([half[torch.randperm(len(half))] for half in swapped])
