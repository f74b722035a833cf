"""How large the regions are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdas.augment.checks import is_number


class RegionSizes:
    """Draw the sizes of regions by the random numbers of PyTorch on the CPU.

    Args:
        size: side of a region as a share of that of the content, in (0, 1]: the root of its share of the area. Two
            numbers: it is uniform between them.
        aspect: height over width of a region, relative to that of the content; above 0. Two numbers: its logarithm is
            uniform between theirs, as in random erasing (Zhong et al., AAAI 2020). What exceeds the content is cut.
        name: of the step, for messages.

    Raises:
        ValueError: for numbers outside these ranges, or in the wrong order.
    """

    def __init__(self, size: float | Sequence[float], aspect: float | Sequence[float], name: str) -> None:
        self.size, self.aspect = pair(size), pair(aspect)
        if not (len(self.size) == 2 and all(map(is_number, self.size)) and 0 < self.size[0] <= self.size[1] <= 1):
            raise ValueError(f'size of {name} must be in (0, 1], or two such numbers, the smaller first, got {size!r}')
        if not (len(self.aspect) == 2 and all(map(is_number, self.aspect)) and 0 < self.aspect[0] <= self.aspect[1]):
            raise ValueError(f'aspect of {name} must be above 0, or two such numbers in their order, got {aspect!r}')

    def __call__(self, contents: Tensor) -> Tensor:
        """Sides (B, 2) of contents in pixels -> sides (B, 2) of regions, at least 1."""
        count = len(contents)
        share = between(self.size, torch.rand(count, dtype=torch.float64))
        logs = torch.tensor(self.aspect, dtype=torch.float64).log().tolist()
        stretch = (between(logs, torch.rand(count, dtype=torch.float64)) / 2).exp()
        return sides(torch.stack([share * stretch, share / stretch], dim=1), contents)


def pair(value: float | Sequence[float]) -> tuple[float, ...]:
    """A number as two equal ones; several as they are."""
    return tuple(value) if isinstance(value, Sequence) else (value, value)


def between(limits: Sequence[float], parts: Tensor) -> Tensor:
    """Numbers that lie at parts in [0, 1] of the way between two limits."""
    return limits[0] + (limits[1] - limits[0]) * parts


def sides(shares: Tensor, contents: Tensor) -> Tensor:
    """Shares (B, 2) of the sides of contents (B, 2) in whole pixels, from 1 to the content's."""
    return torch.minimum((shares * contents).round().long().clamp(min=1), contents)
