"""Where to cut or paste without losing what matters: the rule of KeepAugment (Gong et al., CVPR 2021, Sec. 3.2).

A region is a rectangle within the content of an image. Its importance is the sum of the saliency in it. The regions of
one size in one image are compared: a *selective cut* takes one whose importance is at most the quantile of them all, a
*selective paste* one whose importance is at least the quantile. Equal importance at the quantile counts on both sides,
so that there always is such a region: where the saliency is constant, every region is one.
"""

import torch
from torch import Tensor

from .saliency import integral_image

__all__ = ['admissible', 'draw_positions', 'draw_regions', 'importance_map', 'quantiles', 'region_masks']

ROUNDING = 1e-9  # of a quantile times a count, such as 0.7 * 10 = 7.000000000000001


def importance_map(saliency: Tensor, sizes: Tensor, contents: Tensor) -> tuple[Tensor, Tensor]:
    """The importance of the region at every position, of a size of its own for each image.

    Args:
        saliency: (B, H, W), >= 0; what is not finite counts as 0.
        sizes: (B, 2), integer sides (h, w) of the regions in pixels, from 1 to those of the content.
        contents: (B, 2), integer sides of the contents in pixels, which lie in the upper left corner.

    Returns:
        Importance (B, H, W), float64, of the region whose upper left corner is there, and whether it lies in the
        content (B, H, W), bool.

    Raises:
        ValueError: for a region that does not fit into its content.
    """
    if not ((sizes >= 1) & (sizes <= contents)).all():
        raise ValueError(f'sizes of regions are {sizes.tolist()}, expected sides from 1 to {contents.tolist()}')
    sums = integral_image(saliency.nan_to_num(0.0, 0.0, 0.0))
    sizes, contents = sizes.to(saliency.device), contents.to(saliency.device)
    strips = _sums_along(sums, 1, sizes[:, 0])
    importance = _sums_along(strips, 2, sizes[:, 1]).clamp(min=0)  # rounding goes below it
    rows, columns = (torch.arange(side, device=saliency.device) for side in saliency.shape[-2:])
    last = contents - sizes
    inside = (rows <= last[:, :1])[:, :, None] & (columns <= last[:, 1:])[:, None]
    return importance, inside


def _sums_along(sums: Tensor, dim: int, lengths: Tensor) -> Tensor:
    """Sums over as many pixels as lengths (B,) say, from each on, of running sums; one entry less in ``dim``."""
    count = sums.shape[dim] - 1
    ends = (torch.arange(count, device=sums.device) + lengths[:, None]).clamp(max=count)
    shape = [len(sums), 1, 1]
    shape[dim] = count
    size = [*sums.shape]
    size[dim] = count
    return sums.gather(dim, ends.view(shape).expand(size)) - sums.narrow(dim, 0, count)


def quantiles(importance: Tensor, inside: Tensor, quantile: float) -> Tensor:
    """The smallest importance that at least this part of an image's regions does not exceed.

    Args:
        importance, inside: (B, H, W), see :func:`importance_map`; at least one region is inside.
        quantile: in [0, 1]; 0 gives the smallest.

    Returns:
        (B,).
    """
    ordered = importance.masked_fill(~inside, torch.inf).flatten(1).sort(dim=1).values
    rank = (quantile * inside.flatten(1).sum(1, dtype=torch.float64) - ROUNDING).ceil().long() - 1
    return ordered.gather(1, rank.clamp(min=0)[:, None])[:, 0]


def admissible(importance: Tensor, inside: Tensor, quantile: float, above: bool) -> Tensor:
    """The positions whose regions may be taken, at least one in each image.

    Args:
        importance, inside: (B, H, W), see :func:`importance_map`.
        quantile: in [0, 1].
        above: False for a selective cut, at or below the quantile; True for a selective paste, at or above it.

    Returns:
        (B, H, W), bool.
    """
    threshold = quantiles(importance, inside, quantile)[:, None, None]
    return inside & (importance >= threshold if above else importance <= threshold)


def draw_positions(positions: Tensor) -> Tensor:
    """One of the positions of each image, all alike probable, by the random numbers of PyTorch on the CPU.

    Args:
        positions: (B, H, W), bool, at least one in each image.

    Returns:
        (B, 2), row and column.
    """
    counted = positions.flatten(1).cumsum(1)  # (B, H*W)
    drawn = torch.rand(len(positions), dtype=torch.float64).to(positions.device)
    number = (drawn * counted[:, -1]).long() + 1  # from 1 on
    place = torch.searchsorted(counted, number[:, None])[:, 0]
    width = positions.shape[-1]
    return torch.stack([place // width, place % width], dim=1)


def region_masks(positions: Tensor, sizes: Tensor, canvas: tuple[int, int]) -> Tensor:
    """Which pixels are in the regions.

    Args:
        positions: (B, 2), row and column of the upper left corners.
        sizes: (B, 2), sides (h, w).
        canvas: (H, W).

    Returns:
        (B, 1, H, W), bool.
    """
    spans = []
    for dim, length in enumerate(canvas):
        place, first = torch.arange(length, device=positions.device), positions[:, dim, None]
        spans.append((place >= first) & (place < first + sizes.to(positions.device)[:, dim, None]))
    return (spans[0][:, :, None] & spans[1][:, None])[:, None]


def draw_regions(saliency: Tensor, sizes: Tensor, contents: Tensor, quantile: float, above: bool) -> Tensor:
    """Draw a region of each image that may be cut out or pasted.

    Args:
        saliency, sizes, contents: see :func:`importance_map`.
        quantile, above: see :func:`admissible`.

    Returns:
        (B, 1, H, W), bool, true within the regions.
    """
    positions = draw_positions(admissible(*importance_map(saliency, sizes, contents), quantile, above))
    return region_masks(positions, sizes, (saliency.shape[-2], saliency.shape[-1]))
