"""The transport of pieces to where a mask shows them (Kim et al., ICML 2020, Sec. 3.3)."""

from functools import cache

import numpy as np
import torch
from torch import Tensor


def best_moves(shown: Tensor, importance: Tensor, effort: float = 0.8) -> Tensor:
    """Which piece goes to which place, so that what is shown is important and the ways are short (Eq. 6).

    A move costs ``effort`` times the squared distance, in sides of the image, less the importance of what comes to a
    place that is shown. The sum over all pieces is the least there is; the authors' code comes near it in parallel.

    Args:
        shown: (N, n, n), true where the mask shows the image.
        importance: (N, n, n), sums to 1 over the pieces of an image.
        effort: epsilon >= 0 of the paper.

    Returns:
        (N, n * n), for each place the place that its piece comes from; a permutation.
    """
    from scipy.optimize import linear_sum_assignment  # not before a piece is moved

    visible, gains = (part.flatten(1).double().cpu().numpy() for part in (shown, importance))
    ways = effort * distances(shown.shape[-1])
    costs = (ways - np.outer(place, gain) for place, gain in zip(visible, gains, strict=True))
    sources = [linear_sum_assignment(cost)[1] for cost in costs]
    return torch.from_numpy(np.stack(sources)).to(shown.device)


@cache
def distances(side: int) -> np.ndarray:
    """Squared distances (n * n, n * n) between places of a grid whose first and last ones are 1 apart."""
    rows, columns = np.divmod(np.arange(side * side), side)
    squares = np.subtract.outer(rows, rows) ** 2 + np.subtract.outer(columns, columns) ** 2
    return squares / max(side - 1, 1) ** 2
