"""Warps about the centre of an image, whose taps are kept for half of the pixels.

A linear map of positions takes -p to the negative of where it takes p. So in a table whose rows hold a pixel and the
one opposite to it, beside each other, twice as many columns need half as many rows.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .table_maps import EVERYWHERE, Term
from .warp_operator import bilinear_taps


class HalfTurnSpace:
    """Tables of one frame whose rows hold a pixel and the one opposite to it.

    Args:
        size: (H, W).
        mirrored: whether the frame lies there mirrored left to right. Frames on both sides of the reference frame that
            an operation turns or shears as far in opposite directions then have the same matrix.
    """

    def __init__(self, size: Sequence[int], mirrored: bool = False) -> None:
        self.size = tuple(size)
        self.mirrored = mirrored
        pixels = size[0] * size[1]
        self._half, self._odd = (pixels + 1) // 2, bool(pixels % 2)
        place = torch.arange(pixels, dtype=torch.int32)
        self._enter = torch.stack([self._mirror(place), self._mirror(place).flip(0)], dim=-1)  # (H*W, 2)
        self._leave = self._mirror(torch.where(place < self._half, 2 * place, 2 * (pixels - 1 - place) + 1))

    def _mirror(self, pixels: Tensor) -> Tensor:
        return pixels.view(self.size).flip(1).flatten() if self.mirrored else pixels

    @property
    def nbytes(self) -> int:
        """Bytes of the places."""
        return self._enter.nbytes + self._leave.nbytes

    def matrix(self, theta: Tensor) -> Tensor:
        """A matrix (2, 3) as it acts in this space."""
        return theta * theta.new_tensor([[1, -1, -1], [-1, 1, 1]]) + 0.0 if self.mirrored else theta  # no -0.0

    def zeros(self, table: Tensor) -> Tensor:
        """(ceil(H*W / 2), 2 D) for a table (H, W, D)."""
        return table.new_zeros(self._half, 2 * table.shape[-1])

    def enter(self, table: Tensor) -> Tensor:
        """(H, W, D) -> (H*W, 2 D), whose two halves hold the same."""
        return _rows(table, self._enter).view(len(self._enter), -1)

    def halve(self, table: Tensor) -> Tensor:
        """(H, W, D) -> (ceil(H*W / 2), 2 D), where each pixel is there once."""
        pairs = _rows(table, self._enter[: self._half]).view(self._half, -1)
        if self._odd:
            pairs[-1, table.shape[-1] :] = 0  # the pixel in the middle is opposite to itself
        return pairs

    def leave(self, halves: Tensor) -> Tensor:
        """(ceil(H*W / 2), 2 D) -> (H, W, D)."""
        depth = halves.shape[-1] // 2
        return _rows(halves.view(-1, depth), self._leave).view(*self.size, depth)


class HalfTurnMap:
    """An affine warp without a shift as a map of the tables of a :class:`HalfTurnSpace`.

    Args:
        theta: (2, 3) of ``warp_affine`` in double precision, as it acts in that space.
        size: (H, W).
        padding: as of ``warp_affine``.
        dtype: of the tables.
    """

    def __init__(self, theta: Tensor, size: Sequence[int], padding: str, dtype: torch.dtype) -> None:
        self._pixels = size[0] * size[1]
        half = (self._pixels + 1) // 2
        columns, coefficients = bilinear_taps(theta[None], size, padding, (size[0] + 1) // 2)
        self._columns = columns[0, :half].int().contiguous()  # with strides every pass would copy them
        self._coefficients = coefficients[0, :half].to(dtype).contiguous()
        self._transposed: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the taps, those of the transposed map included once it is used."""
        return sum(tensor.nbytes for tensor in (self._columns, self._coefficients, *(self._transposed or ())))

    def terms(self, table: Tensor, transposed: bool = False) -> Iterator[Term]:
        """A table (ceil(H*W / 2), 2 D) of an entered one."""
        if not transposed:
            yield EVERYWHERE, _bags(self._columns, table, self._coefficients), 1.0
            return
        if self._transposed is None:
            self._transposed = self._transpose()
        columns, offsets, coefficients = self._transposed
        yield EVERYWHERE, _bags(columns, table, coefficients, offsets), 1.0

    def _transpose(self) -> tuple[Tensor, Tensor, Tensor]:
        """Taps of the transposed map for the first half of the pixels, the first of each pixel, and coefficients."""
        half, last = len(self._columns), self._pixels - 1
        source = torch.arange(half, dtype=torch.int32)[:, None].expand_as(self._columns)
        opposite = self._coefficients.clone()
        opposite[self._pixels // 2 :] = 0  # the pixel in the middle is there once
        pairs = ((source, last - source), (self._columns, last - self._columns), (self._coefficients, opposite))
        source, target, coefficients = (torch.cat(pair).flatten() for pair in pairs)
        used = ((coefficients > 0) & (target < half)).nonzero().flatten()
        order = used[target[used].argsort(stable=True)]
        counts = torch.bincount(target[used], minlength=half)
        return source[order], (counts.cumsum(0) - counts).int(), coefficients[order]


def _bags(columns: Tensor, table: Tensor, coefficients: Tensor, offsets: Tensor | None = None) -> Tensor:
    return F.embedding_bag(columns, table, offsets=offsets, per_sample_weights=coefficients, mode='sum')


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """Rows of a table (..., D). `embedding_bag` copies short rows several times as fast as `index_select`."""
    return F.embedding_bag(index.reshape(-1, 1), table.view(-1, table.shape[-1]), mode='sum')
