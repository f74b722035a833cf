"""Styles at random: a Gaussian that is fitted to the statistics of many images (after Jackson et al. 2019)."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from .statistics import Statistics


@dataclass(frozen=True)
class StyleDistribution:
    """A Gaussian of styles.

    Jackson et al. (CVPR workshops 2019) draw embeddings of 100 numbers, of a network that predicts a style. Here the
    embedding is what AdaIN needs: the means and the logarithms of the deviations of all channels. A style that is drawn
    so has positive deviations. Mean and covariance are those of the fitted styles, also where these are fewer than the
    numbers.

    Args:
        centre: (2 C,), mean of the embeddings.
        spread: (N, 2 C), whose product spread^T spread is their covariance.
    """

    centre: Tensor
    spread: Tensor

    @classmethod
    def fit(cls, styles: Iterable[Statistics]) -> 'StyleDistribution':
        """The Gaussian of some styles.

        Args:
            styles: statistics, each of one image or of several.

        Raises:
            ValueError: for fewer than two images.
        """
        rows = torch.cat([embed(style) for style in styles])
        if len(rows) < 2:
            raise ValueError(f'a distribution of styles needs two images or more, got {len(rows)}')
        centre = rows.mean(0)
        return cls(centre, (rows - centre) / (len(rows) - 1) ** 0.5)

    def draw(self, count: int) -> Statistics:
        """Styles, by PyTorch's random numbers of the CPU.

        Args:
            count: number of them.

        Returns:
            Statistics (count, C) on the device of the distribution.
        """
        numbers = torch.randn(count, len(self.spread)).to(self.spread)
        return unembed(self.centre + numbers @ self.spread)

    def to(self, device: torch.device) -> 'StyleDistribution':
        """The same on a device."""
        return StyleDistribution(self.centre.to(device), self.spread.to(device))


def embed(style: Statistics) -> Tensor:
    """Statistics (N, C) -> (N, 2 C): means and logarithms of deviations."""
    return torch.cat([style.mean, style.std.log()], dim=1)


def unembed(rows: Tensor) -> Statistics:
    """Inverse of :func:`embed`."""
    mean, logarithms = rows.chunk(2, dim=1)
    return Statistics(mean, logarithms.exp())
