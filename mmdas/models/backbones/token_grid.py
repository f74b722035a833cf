"""How the tokens of a transformer lie in the image."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MOST_EXTRA = 8  # class, distillation and register tokens, which come first


@dataclass
class TokenGrid:
    """What is known of the frames that a backbone sees now.

    A transformer keeps no map: its tokens are (B*T, L, C), L = k + h*w with k tokens of no place, such as that of the
    class. The grid h x w is what a block is called with, or what the embedding of the patches has returned, or the only
    one of equal squares that fits the image.

    Attributes:
        is_used: whether the backbone fuses at tokens.
        rows: B*T, None before the first clip.
        image: height and width of a frame in pixels.
        embedded: grid that the embedding of the patches has returned, None if it tells none.
    """

    is_used: bool = False
    rows: int | None = None
    image: tuple[int, int] = (0, 0)
    embedded: tuple[int, int] | None = None

    def start(self, frames: Tensor) -> None:
        """Begin with new frames, (B*T, C, H, W)."""
        # Tracing has the sizes as tensors, an export some as symbols, which stay so.
        rows, _, height, width = (size if isinstance(size, torch.SymInt) else int(size) for size in frames.shape)
        self.rows, self.image, self.embedded = rows, (height, width), None

    def check(self, tokens: Tensor, place: str) -> None:
        """Raise ValueError where a place has no tokens of whole frames, (B*T, L, C), but of windows or patches."""
        if tokens.ndim != 3 or (self.rows is not None and tokens.shape[0] != self.rows):
            raise ValueError(
                f'{place} of the backbone takes {tuple(tokens.shape)}, expected the tokens of {self.rows} whole frames '
                f'({self.rows}, L, C); leave it out (stages=[...] of FrameFusionBackbone, --sites), or go without '
                'fusion: --fusion none (fusion=None)'
            )

    def of(self, length: int, told: tuple[int, int] | None, place: str) -> tuple[int, int]:
        """The grid (h, w) of L tokens.

        Args:
            length: L.
            told: the grid that the block was called with, None if it tells none.
            place: path of the module, for messages.

        Raises:
            ValueError: if nothing tells a grid that fits.
        """
        for grid in (told, self.embedded):
            if grid is not None and 0 <= length - grid[0] * grid[1] <= MOST_EXTRA:
                return grid
        for extra in (0, 1):
            grid = grid_of_squares(self.image, length - extra)
            if grid is not None:
                return grid
        height, width = self.image
        raise ValueError(
            f'no grid is known for the {length} tokens at {place} of the backbone, of frames of {height} x {width} '
            'pixels; fuse with TSM, which needs none: --fusion tsm (mmdas.TemporalShift), or go without fusion: '
            '--fusion none (fusion=None)'
        )


def grid_of_squares(image: tuple[int, int], count: int) -> tuple[int, int] | None:
    """The grid of so many equal squares that an image is cut into; there is at most one, None if there is none."""
    for stride in range(1, min(image) + 1):
        grid = image[0] // stride, image[1] // stride
        if grid[0] * grid[1] <= count:
            return grid if grid[0] * grid[1] == count else None
    return None


def grid_in(values: Any) -> tuple[int, int] | None:
    """The pair of sizes (h, w) in what a module is called with or returns, None if there is none."""
    if not isinstance(values, (tuple, list)):
        return None
    for value in values:
        if isinstance(value, (tuple, list)) and len(value) == 2 and all(_is_size(size) for size in value):
            return int(value[0]), int(value[1])
    return None


def _is_size(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, Tensor) and value.ndim == 0)
