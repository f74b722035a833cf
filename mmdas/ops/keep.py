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
        Importance (B, Y, X), float64, of the region whose upper left corner is there, and whether it lies in the
        content (B, Y, X), bool. Y and X are the most rows and columns of positions that an image has.

    Raises:
        ValueError: for a region that does not fit into its content.
    """
    if not ((sizes >= 1) & (sizes <= contents)).all():
        raise ValueError(f'sizes of regions are {sizes.tolist()}, expected sides from 1 to {contents.tolist()}')
    counts = contents - sizes + 1  # of positions
    rows, columns = (torch.arange(count, device=saliency.device) for count in counts.amax(0).tolist())
    sizes, counts = sizes.to(saliency.device), counts.to(saliency.device)
    sums = integral_image(saliency.nan_to_num(0.0, 0.0, 0.0))  # (B, H+1, W+1)
    strips = _sums_of_rows(sums, rows, sizes[:, 0])  # (B, Y, W+1)
    importance = _sums_of_rows(strips.mT, columns, sizes[:, 1]).mT.clamp(min=0)  # rounding goes below it
    inside = (rows < counts[:, :1])[:, :, None] & (columns < counts[:, 1:])[:, None]
    return importance, inside


def _sums_of_rows(sums: Tensor, firsts: Tensor, lengths: Tensor) -> Tensor:
    """Sums of as many rows as lengths (B,) say, from each of the first ones (Y,) on, of running sums (B, H+1, W)."""
    ends = (firsts + lengths[:, None]).clamp(max=sums.shape[1] - 1)  # (B, Y)
    return sums.gather(1, ends[:, :, None].expand(-1, -1, sums.shape[2])) - sums[:, : len(firsts)]


def quantiles(importance: Tensor, inside: Tensor, quantile: float) -> Tensor:
    """The smallest importance that at least this part of an image's regions does not exceed.

    Args:
        importance, inside: (B, Y, X), see :func:`importance_map`; at least one region is inside.
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
        importance, inside: (B, Y, X), see :func:`importance_map`.
        quantile: in [0, 1].
        above: False for a selective cut, at or below the quantile; True for a selective paste, at or above it.

    Returns:
        (B, Y, X), bool.
    """
    threshold = quantiles(importance, inside, quantile)[:, None, None]
    return inside & (importance >= threshold if above else importance <= threshold)


def draw_positions(positions: Tensor) -> Tensor:
    """One of the positions of each image, all alike probable, by the random numbers of PyTorch on the CPU.

    Args:
        positions: (B, Y, X), bool, at least one in each image.

    Returns:
        (B, 2), row and column.
    """
    counted = positions.flatten(1).cumsum(1)  # (B, Y*X)
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
