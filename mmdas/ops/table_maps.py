"""Affine warps of one frame as linear maps of tables that need few taps, or none, in memory.

A *map* yields the terms of its sum: ``out[place] += factor * part`` for all of them is the warp. Tables are (H, W, D):
the pixels of a frame have all images and channels as their D columns.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .affine import pixel_centres
from .warp_operator import NOISE, side_taps

Term = tuple[tuple[slice, ...], Tensor, float]  # place in the output, what is added there, its factor

EVERYWHERE: tuple[slice, ...] = ()
# Rows of a table that are moved along the columns at a time: about so many pixels, few enough for the cache.
_PIXELS_AT_A_TIME = 1 << 14


def region(table: Tensor, place: tuple[slice, ...]) -> Tensor:
    """Part of a table; unlike an index it also works where autograd computes several gradients at once."""
    for dimension, part in enumerate(place):
        table = table.narrow(dimension, part.start, part.stop - part.start)
    return table


class TableMap(Protocol):
    """A linear map of tables."""

    @property
    def nbytes(self) -> int:
        """Bytes of what it keeps."""

    def terms(self, table: Tensor, transposed: bool = False) -> Iterator[Term]:
        """Terms of the map of a table, or of its transposed map."""


class IdentityMap:
    """Leaves a table as it is."""

    nbytes = 0

    def terms(self, table: Tensor, transposed: bool = False) -> Iterator[Term]:
        """The table."""
        yield EVERYWHERE, table, 1.0


class ShiftMap:
    """A translation with zeros around the image: slices of the table, and nothing in memory.

    Args:
        theta: (2, 3) of ``warp_affine`` in double precision, with the identity as its linear part.
        size: (H, W).
    """

    nbytes = 0

    def __init__(self, theta: Tensor, size: Sequence[int]) -> None:
        height, width = size
        x, y = theta[:, 2].tolist()
        self._taps = [
            (row, column, row_factor * column_factor)
            for row, row_factor in _two_taps(y * height / 2)
            for column, column_factor in _two_taps(x * width / 2)
            if abs(row) < height and abs(column) < width
        ]

    def terms(self, table: Tensor, transposed: bool = False) -> Iterator[Term]:
        """A slice for each tap, of which there are at most two where the warp moves along one side."""
        sign = -1 if transposed else 1
        for row, column, factor in self._taps:
            to_rows, from_rows = _overlap(sign * row, table.shape[0])
            to_columns, from_columns = _overlap(sign * column, table.shape[1])
            yield (to_rows, to_columns), region(table, (from_rows, from_columns)), factor


class SeparableMap:
    """A warp whose rows depend on rows and whose columns on columns: two passes with taps along one side each.

    Args:
        theta: (2, 3) of ``warp_affine`` in double precision, whose linear part is diagonal.
        size: (H, W).
        padding: as of ``warp_affine``.
        dtype: of the tables.
    """

    def __init__(self, theta: Tensor, size: Sequence[int], padding: str, dtype: torch.dtype) -> None:
        height, width = size
        self._rows = max(1, min(height, _PIXELS_AT_A_TIME // width))
        self._along_rows = SideTaps(theta[1, 1], theta[1, 2], height, 1, padding, dtype)
        self._along_columns = SideTaps(theta[0, 0], theta[0, 2], width, self._rows, padding, dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the taps."""
        return self._along_rows.nbytes + self._along_columns.nbytes

    def terms(self, table: Tensor, transposed: bool = False) -> Iterator[Term]:
        """Some rows at a time."""
        height, width, depth = table.shape
        moved = self._along_rows.gather(table.view(height, -1), transposed).view(-1, depth)
        for first in range(0, height, self._rows):
            last = min(first + self._rows, height)
            block = moved.narrow(0, first * width, (last - first) * width)
            part = self._along_columns.gather(block, transposed).view(-1, width, depth)
            yield (slice(first, last),), part, 1.0


class SideTaps:
    """Bilinear taps along one side.

    Args:
        factor, shift: numbers, of the map from normalised output to normalised input positions.
        length: of the side.
        repeat: so many sides lie behind each other in a table.
        padding: as of ``warp_affine``.
        dtype: of the tables.
    """

    def __init__(
        self, factor: Tensor, shift: Tensor, length: int, repeat: int, padding: str, dtype: torch.dtype
    ) -> None:
        index, coefficient = side_taps(factor * pixel_centres(length, factor) + shift, length, padding)
        target = torch.arange(length).expand(2, -1)
        used = coefficient > 0
        entries = index[used], target[used], coefficient[used].to(dtype)
        self._forward = _Gather(*entries, length, repeat)
        self._transposed = _Gather(entries[1], entries[0], entries[2], length, repeat)

    @property
    def nbytes(self) -> int:
        """Bytes of the taps of both directions."""
        return self._forward.nbytes + self._transposed.nbytes

    def gather(self, table: Tensor, transposed: bool) -> Tensor:
        """Sums of the rows of a table (n, D), whose number is one of sides up to ``repeat``, times their length."""
        return (self._transposed if transposed else self._forward).apply(table)


class _Gather:
    """Weighted sums of rows of tables, for rows that come ``repeat`` times.

    Args:
        source, target, coefficient: (n,) each, what is read, where it is added, and its factor.
        length: rows of a table.
        repeat: of the rows.
    """

    def __init__(self, source: Tensor, target: Tensor, coefficient: Tensor, length: int, repeat: int = 1) -> None:
        order = target.argsort(stable=True)
        starts = torch.bincount(target, minlength=length).cumsum(0) - torch.bincount(target, minlength=length)
        block = torch.arange(repeat)[:, None]
        self._source = (source[order] + length * block).flatten().int()
        self._starts = (starts + len(order) * block).flatten().int()
        self._coefficient = coefficient[order].repeat(repeat)
        self._entries, self._length = len(order), length

    @property
    def nbytes(self) -> int:
        """Bytes of the taps."""
        return self._source.nbytes + self._starts.nbytes + self._coefficient.nbytes

    def apply(self, table: Tensor) -> Tensor:
        """Sums of a table of at most ``repeat`` times ``length`` rows."""
        count = len(table) // self._length * self._entries
        return F.embedding_bag(
            self._source[:count],
            table,
            offsets=self._starts[: len(table)],
            per_sample_weights=self._coefficient[:count],
            mode='sum',
        )


def _two_taps(pixels: float) -> list[tuple[int, float]]:
    """Whole pixels and factors of a bilinear sampling that far away."""
    nearest = round(pixels)
    if abs(pixels - nearest) < NOISE:
        return [(nearest, 1.0)]
    first = math.floor(pixels)
    return [(first, 1 - (pixels - first)), (first + 1, pixels - first)]


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Places along a side, and those so far away that are read for them."""
    return slice(max(0, -shift), min(length, length - shift)), slice(max(0, shift), min(length, length + shift))
