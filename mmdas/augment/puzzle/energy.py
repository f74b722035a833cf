"""The energy of a mask of Puzzle Mix (Kim et al., ICML 2020, Sec. 3.2), as costs of labels and of neighbours.

A block of the mask has a label l of 0..L-1: the image has the share z = l / (L-1) in it, its partner the rest.
"""

from dataclasses import dataclass
from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor

CELL = 4  # pixels, at most, that the colours at the border of two blocks are averaged over
TINY = 1e-8  # of the authors' code, for shares of 0 and 1


@dataclass(frozen=True)
class Energy:
    """Sum of the costs of the labels, and of weight * (z - z')^2 over blocks side by side.

    Args:
        labels: (N, L, n, n), costs of the labels of each block.
        right: (N, n, n-1), >= 0, weights between a block and the one at its right.
        down: (N, n-1, n), >= 0, weights between a block and the one below.
    """

    labels: Tensor
    right: Tensor
    down: Tensor

    def of(self, labels: Tensor) -> Tensor:
        """Energies (N,) of masks, whose labels are integers (N, n, n)."""
        costs = self.labels.gather(1, labels[:, None])[:, 0].sum((1, 2))
        shares = labels / (self.labels.shape[1] - 1)
        costs = costs + (self.right * shares.diff(dim=2).square()).sum((1, 2))
        return costs + (self.down * shares.diff(dim=1).square()).sum((1, 2))


def puzzle_energy(
    images: Tensor,
    importance: Tensor,
    partners: Tensor,
    shares: Tensor,
    levels: int = 3,
    smoothness: float = 1.2,
    data_smoothness: float = 0.5,
    prior: float = 0.2,
) -> Energy:
    """The energy of masks that keep what is important of both images (Eq. 5).

    Args:
        images: (N, C, H, W), any range.
        importance: (N, n, n), >= 0, sums to 1 over the blocks of an image; n divides H and W.
        partners: (N,), places of the images that the images are mixed with.
        shares: (N,), in [0, 1]; the share of an image that stays its own is expected to be this.
        levels: L >= 2, number of labels.
        smoothness: beta >= 0 of the paper, weight of equal labels side by side.
        data_smoothness: gamma in [0, 1], weight of colours that go on across the border of two blocks, times beta.
        prior: eta >= 0, weight of the expected share.

    Returns:
        The energy, in float64. The colours of the batch are scaled to [0, 1] for it.
    """
    blocks = importance.shape[-1]
    weight = smoothness / blocks / 16
    cells = border_cells(images, blocks).double()
    importance = importance.double()
    own, other = importance[partners].clone(), importance.clone()  # own image here: its partner's content is lost
    weights = []
    for dim, view in ((1, cells), (2, cells.transpose(2, 3))):
        steps = border_steps(view, view[partners], blocks, dim)
        (both, kept), (left, neither) = [[weight * data_smoothness * step for step in row] for row in steps]
        first, second = slice(None, -1), slice(1, None)
        for term, place, parts in (
            (own, first, both + kept),
            (own, second, both + left),
            (other, first, left + neither),
            (other, second, kept + neither),
        ):
            term.narrow(dim, place.start or 0, blocks - 1).add_(parts / 2)
        weights.append(weight + (kept + left - both - neither) / 2)
    grid = torch.linspace(0, 1, levels, dtype=own.dtype, device=own.device)[:, None, None]
    costs = grid * own[:, None] + (1 - grid) * other[:, None] + prior / blocks**2 * label_costs(shares, levels).to(own)
    return Energy(costs, down=weights[0], right=weights[1])


def label_costs(shares: Tensor, levels: int) -> Tensor:
    """Negative logarithms (N, L, 1, 1) of the binomial probabilities of labels with the mean share (Eq. 4)."""
    own, top = shares.double()[:, None], levels - 1
    places = torch.arange(levels, dtype=own.dtype, device=own.device)
    ways = torch.tensor([comb(top, place) for place in range(levels)], dtype=own.dtype, device=own.device)
    return -(ways * own**places * (1 - own) ** (top - places) + TINY).log()[..., None, None]


def border_cells(images: Tensor, blocks: int) -> Tensor:
    """Images in [0, 1], averaged over equal cells of at most 4 x 4 pixels that a block consists of."""
    low, high = images.amin((0, 2, 3), keepdim=True), images.amax((0, 2, 3), keepdim=True)
    scaled = (images - low) / (high - low).clamp_min(TINY)
    return F.avg_pool2d(scaled, tuple(cell_side(side // blocks) for side in images.shape[-2:]))


def cell_side(block: int) -> int:
    """The largest divisor of the side of a block that is at most 4."""
    return next(side for side in range(min(CELL, block), 0, -1) if block % side == 0)


def border_steps(own: Tensor, other: Tensor, blocks: int, dim: int) -> list[list[Tensor]]:
    """Mean steps of colour from each block to the next, in [0, 1].

    Args:
        own, other: cells (N, C, h, w) of images and partners, with the rows as what is stepped over.
        blocks: n, a side.
        dim: 1 for steps down, 2 for steps to the right, of turned cells.

    Returns:
        ``[first][second]``: the first block of the image (0) or its partner (1), and likewise the next one; each
        (N, n-1, n), or (N, n, n-1) for ``dim=2``.
    """
    rows = own.shape[2] // blocks
    found = []
    for first in (own, other):
        end = first[:, :, rows - 1 : -1 : rows]
        row = [(end - second[:, :, rows::rows]).abs().mean(1) for second in (own, other)]  # (N, n-1, w)
        means = [step.unflatten(2, (blocks, -1)).mean(3) for step in row]
        found.append([step if dim == 1 else step.transpose(1, 2) for step in means])
    return found
