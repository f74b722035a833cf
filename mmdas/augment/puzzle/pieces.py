"""Images as grids of equal blocks."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from mmdas.search.das.operation import Size


def block_counts(size: Size, choices: Sequence[int]) -> list[int]:
    """Which numbers of blocks a side cut images of a size (H, W) into equal blocks."""
    return [count for count in choices if all(side % count == 0 for side in size)]


def piece_count(size: Size, blocks: int, least: int, most: int = 16) -> int:
    """Number of pieces a side that are transported: each block of a mask consists of equal ones.

    Args:
        size: (H, W) of the images, which the blocks divide.
        blocks: of the mask, a side.
        least: pixels that a piece has a side, unless a block has less.
        most: pieces a side, unless there are more blocks.
    """
    finer = range(2 * blocks, min(most, min(size) // least) + 1, blocks)
    return max([blocks, *block_counts(size, finer)])


def block_means(maps: Tensor, blocks: int) -> Tensor:
    """Means of maps (N, H, W) over blocks, (N, blocks, blocks)."""
    height, width = maps.shape[-2:]
    return F.avg_pool2d(maps[:, None], (height // blocks, width // blocks))[:, 0]


def enlarged(grids: Tensor, size: Size) -> Tensor:
    """Grids (N, n, n) as maps (N, 1, H, W) that are constant within a block."""
    height, width = (side // grids.shape[-1] for side in size)
    return grids[:, None].repeat_interleave(height, 2).repeat_interleave(width, 3)


def moved_pieces(images: Tensor, sources: Tensor) -> Tensor:
    """Images with their pieces in other places.

    Args:
        images: (N, C, H, W).
        sources: (N, n * n), for each place, row by row, the place that its piece comes from.

    Returns:
        (N, C, H, W), a new tensor.
    """
    count, channels, height, width = images.shape
    side = round(sources.shape[1] ** 0.5)
    pieces = images.reshape(count, channels, side, height // side, side, width // side)
    pieces = pieces.permute(0, 2, 4, 1, 3, 5).reshape(count, side * side, -1)  # a row for each piece
    taken = pieces.gather(1, sources[..., None].expand_as(pieces))
    taken = taken.view(count, side, side, channels, height // side, width // side)
    return taken.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)
