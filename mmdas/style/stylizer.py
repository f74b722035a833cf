"""Give an image the statistics of another: of its colours, or of its features by AdaIN."""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from .decoder import AdaINDecoder
from .statistics import Statistics, channel_statistics, interpolate, with_statistics
from .vgg import VGG19

LAYER = 'relu4_1'


class Stylizer(Protocol):
    """What gives images the style that statistics stand for."""

    def statistics(self, styles: Tensor) -> Statistics:
        """Styles (N, 3, H, W) in [0, 1] -> their statistics."""
        ...

    def stylize(self, images: Tensor, style: Statistics, alpha: float | Tensor = 1.0) -> Tensor:
        """Images in other styles.

        Args:
            images: (N, 3, H, W) in [0, 1].
            style: of N images, or one for all.
            alpha: in [0, 1], one for all or (N,): 0 is the own style, 1 the other one.
        """
        ...

    def to(self, device: torch.device) -> 'Stylizer':
        """Bring it to a device."""
        ...


class ColourStatistics(nn.Module):
    """Colour transfer without a network: each of the channels R, G and B gets the style's mean and deviation.

    It is AdaIN on pixels, the global form of Reinhard et al. (2001) in RGB. Shapes and textures stay, alpha 0 is the
    image itself.
    """

    def statistics(self, styles: Tensor) -> Statistics:
        """Mean and deviation of R, G and B, (N, 3)."""
        return channel_statistics(styles)

    def stylize(self, images: Tensor, style: Statistics, alpha: float | Tensor = 1.0) -> Tensor:
        """Images with other colours, in [0, 1]."""
        check_alpha(alpha)
        changed = with_statistics(images, interpolate(channel_statistics(images), style, alpha))
        return changed.clamp(0, 1)


class AdaINStyle(nn.Module):
    """Arbitrary style transfer in real time (Huang and Belongie, ICCV 2017): VGG to relu4_1, AdaIN, a decoder.

    Alpha interpolates the statistics. Since AdaIN is linear in them, that is the paper's interpolation of features
    (Eq. 14). Alpha 0 is the image as the decoder remembers it.

    Args:
        encoder: file of the VGG that the decoder was trained with, see :class:`mmdas.style.VGG19`: for the published
            decoder it is ``vgg_normalised.pth``.
        decoder: file of the decoder, see :class:`mmdas.style.AdaINDecoder`.

    Raises:
        FileNotFoundError, StyleWeightsError: see there.
    """

    def __init__(self, encoder: str | Path | None, decoder: str | Path | None) -> None:
        super().__init__()
        self.encoder, self.decoder = VGG19(encoder), AdaINDecoder(decoder)
        self.eval().requires_grad_(False)

    def encode(self, images: Tensor) -> Tensor:
        """Features (N, 512, h, w)."""
        return self.encoder(images, [LAYER])[LAYER]

    def statistics(self, styles: Tensor) -> Statistics:
        """Mean and deviation of the features, (N, 512)."""
        return channel_statistics(self.encode(styles))

    def stylize(self, images: Tensor, style: Statistics, alpha: float | Tensor = 1.0) -> Tensor:
        """Images in another style, in [0, 1] and of the same size."""
        check_alpha(alpha)
        height, width = images.shape[-2:]
        features = self.encode(enlarged(images))
        mixed = with_statistics(features, interpolate(channel_statistics(features), style, alpha))
        return self.decoder(mixed)[..., :height, :width].clamp(0, 1)


def enlarged(images: Tensor) -> Tensor:
    """Images whose sides are repeated at the border to multiples of 8, which the pools divide without a rest."""
    height, width = images.shape[-2:]
    return nn.functional.pad(images, (0, -width % 8, 0, -height % 8), mode='replicate')


def check_alpha(alpha: float | Tensor) -> None:
    """Refuse an alpha outside [0, 1].

    Raises:
        ValueError: naming it.
    """
    values = alpha.tolist() if isinstance(alpha, Tensor) else [alpha]
    for value in values:
        if not 0 <= value <= 1:
            raise ValueError(f'alpha must be in [0, 1], got {value}')
