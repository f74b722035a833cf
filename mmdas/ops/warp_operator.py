"""Affine warps of images of one size as a sparse linear map, for warps that are applied many times.

``warp_affine`` finds, for every output pixel, four input pixels and their bilinear coefficients, and forgets them. A
:class:`WarpOperator` keeps these *taps* of several warps, so that a weighted sum of all warps is a single pass over
the output. Images are *tables* here: a pixel is a row, and all images and channels, which move alike, are its columns.
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from .affine import PADDINGS, sampling_grid

# Positions that are so close to a pixel, in pixels, are at it: an integer translation then has one tap instead of four.
NOISE = 1e-9
# Elements of a temporary that are made at a time: few enough for the processor's cache.
_CHUNK = 1 << 19
# Up to so many weighted sums are made one by one from the taps; more share the warped rows. Narrow tables, whose taps
# cost more than their columns, share them earlier. Measured with the tables of benchmarks A1 and A2.
_FEW, _FEW_OF_NARROW, _NARROW = 4, 2, 24


def bilinear_taps(
    theta: Tensor, size: Sequence[int], padding: str = 'zeros', rows: int | None = None
) -> tuple[Tensor, Tensor]:
    """Input pixels and coefficients of ``warp_affine``.

    Args:
        theta: (N, 2, 3), maps normalised output to normalised input coordinates, as of ``warp_affine``.
        size: (H, W) of input and output.
        padding: ``'zeros'``, ``'border'`` or ``'reflection'``.
        rows: so many of the output's rows, from above. Default: all.

    Returns:
        Indices of input pixels, (N, H*W, 4) int64 in [0, H*W), and their coefficients, (N, H*W, 4) in the dtype of
        theta; a tap outside the image has the coefficient 0.

    Raises:
        ValueError: if the padding is unknown.
    """
    if padding not in PADDINGS:
        raise ValueError(f'padding must be one of {PADDINGS}, got {padding!r}')
    height, width = size
    grid = sampling_grid(theta, size, rows)  # (N, H, W, 2)
    x, x_inside = side_taps(grid[..., 0], width, padding)
    y, y_inside = side_taps(grid[..., 1], height, padding)
    columns = y[:, None] * width + x[None]  # (2, 2, N, H, W)
    coefficients = y_inside[:, None] * x_inside[None]
    return columns.flatten(0, 1).flatten(2).permute(1, 2, 0), coefficients.flatten(0, 1).flatten(2).permute(1, 2, 0)


def side_taps(position: Tensor, length: int, padding: str) -> tuple[Tensor, Tensor]:
    """Indices and coefficients of the two neighbours along one side, (2, ...) each, for normalised positions (...)."""
    pixel = ((position + 1) * length - 1) / 2
    if padding == 'reflection':  # mirrored at the outer edges -0.5 and length - 0.5
        pixel = (pixel + 0.5).remainder(2 * length)
        pixel = torch.minimum(pixel, 2 * length - pixel) - 0.5
    if padding != 'zeros':
        pixel = pixel.clamp(0, length - 1)
    nearest = pixel.round()
    pixel = torch.where((pixel - nearest).abs() < NOISE, nearest, pixel)
    first = pixel.floor()
    fraction = pixel - first
    index = torch.stack([first, first + 1])
    inside = (index >= 0) & (index < length)
    coefficient = torch.stack([1 - fraction, fraction]) * inside
    return index.clamp(0, length - 1).long(), coefficient


class WarpOperator:
    """K warps for each of G frames as a sparse matrix with G*H*W rows.

    Args:
        theta: K matrices (G, 2, 3) of ``warp_affine``, or None for the identity.
        num_frames: G >= 1.
        size: (H, W).
        padding: as of ``warp_affine``.
        dtype: of the tables, float32 or float64.
        one_image: all frames are warps of one image: the table has H*W rows; otherwise each frame has its own rows.
        device: of the tables.

    Attributes:
        columns: (G*H*W, n) int32, rows of the table that an output row sums up, warp after warp.
        coefficients: (G*H*W, n).
        starts: position of the first tap of each warp, and n.
    """

    def __init__(
        self,
        theta: Sequence[Tensor | None],
        num_frames: int,
        size: Sequence[int],
        padding: str = 'zeros',
        dtype: torch.dtype = torch.float32,
        one_image: bool = False,
        device: torch.device | str = 'cpu',
    ) -> None:
        pixels = size[0] * size[1]
        self.table_rows = pixels if one_image else num_frames * pixels
        first_rows = torch.arange(num_frames, device=device) * (0 if one_image else pixels)
        taps = [_warp_taps(matrices, first_rows, size, padding) for matrices in theta]
        self.starts = (0, *accumulate(columns.shape[1] for columns, _ in taps))
        self.columns = torch.cat([columns for columns, _ in taps], dim=1)
        self.coefficients = torch.cat([coefficients for _, coefficients in taps], dim=1).to(dtype)
        counts = [last - first for first, last in zip(self.starts, self.starts[1:], strict=False)]
        self._warp_of_tap = torch.repeat_interleave(torch.tensor(counts)).to(device)  # (n,)
        self._transposed: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    @property
    def num_warps(self) -> int:
        """K."""
        return len(self.starts) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of the taps, those of the transposed map included once it is used."""
        tensors = [self.columns, self.coefficients, *(self._transposed or ())]
        return sum(tensor.nbytes for tensor in tensors)

    def fold(self, weights: Sequence[float]) -> 'WarpOperator':
        """The weighted sum of the warps as an operator with a single warp of weight 1.

        Args:
            weights: K numbers.
        """
        folded = copy.copy(self)
        folded.coefficients = self.coefficients * self.coefficients.new_tensor(weights)[self._warp_of_tap]
        folded.starts, folded._warp_of_tap, folded._transposed = (0, self.starts[-1]), self._warp_of_tap * 0, None
        return folded

    def apply(self, table: Tensor) -> Tensor:
        """Sum of the warps, without gradients.

        Args:
            table: (H*W, D) with ``one_image``, otherwise (G*H*W, D).

        Returns:
            (G*H*W, D).
        """
        return F.embedding_bag(self.columns, table, per_sample_weights=self.coefficients, mode='sum')

    def mix(self, table: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        """Weighted sums of the warps, without gradients; :func:`mmdas.ops.mixed_warps.mix_warps` has them.

        Args:
            table: (G*H*W, D).
            weights: (F, K).

        Returns:
            F tables (G*H*W, D).
        """
        if _share_warps(len(weights), table.shape[1]):
            # A tensor for each sum: as parts of one they would keep each other in memory.
            return tuple(map(torch.cat, zip(*self._mix_warped(table, weights), strict=True)))
        return tuple(self._mix_taps(table, row) for row in weights[:, self._warp_of_tap])

    def _mix_taps(self, table: Tensor, weights: Tensor) -> Tensor:
        """One weighted sum at a time, straight from the taps (weights: (n,))."""
        step = _rows_at_a_time(len(self.columns), len(weights))
        parts = [
            F.embedding_bag(columns, table, per_sample_weights=coefficients * weights, mode='sum')
            for columns, coefficients in zip(self.columns.split(step), self.coefficients.split(step), strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _mix_warped(self, table: Tensor, weights: Tensor) -> Iterator[Tensor]:
        """All weighted sums from the warped rows, a few rows at a time: (F, rows, D) each."""
        for _, warped in self._warped(table):
            yield (weights @ warped).view(len(weights), -1, table.shape[1])

    def mix_transposed(self, tables: Sequence[Tensor], weights: Tensor) -> Tensor:
        """The transposed of :meth:`mix`, which takes the gradients of its sums to that of its table.

        Args:
            tables: F tables (G*H*W, D).
            weights: (F, K).

        Returns:
            (G*H*W, D).
        """
        rows, offsets, coefficients, taps = self._transpose()
        if _share_warps(len(weights), tables[0].shape[1]):  # one table per warp, and one pass over all of them
            stacked = torch.stack(list(tables)).view(len(tables), -1)
            table = (weights.t() @ stacked).view(-1, tables[0].shape[1])
            rows = rows + (self._warp_of_tap * len(tables[0])).int().index_select(0, taps)
            return F.embedding_bag(rows, table, offsets=offsets, per_sample_weights=coefficients, mode='sum')
        parts = []
        for table, row in zip(tables, weights[:, self._warp_of_tap], strict=True):
            values = coefficients * row.index_select(0, taps)
            parts.append(F.embedding_bag(rows, table, offsets=offsets, per_sample_weights=values, mode='sum'))
        return sum(parts[1:], start=parts[0])

    def correlate(self, table: Tensor, others: Sequence[Tensor]) -> Tensor:
        """Inner products of every warp of a table with other tables: the gradient of :meth:`mix` to its weights.

        The warped table is made anew, a few rows at a time, instead of being kept from the forward pass.

        Args:
            table: (G*H*W, D).
            others: F tables (G*H*W, D).

        Returns:
            (F, K), the sums over rows and columns of ``others[f] * warp_k(table)``.
        """
        total = table.new_zeros(len(others), self.num_warps)
        for rows, warped in self._warped(table):
            total = total + torch.stack([other[rows].reshape(-1) for other in others]) @ warped.t()
        return total

    def _warped(self, table: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """All warps of a table, (K, rows * D), for some rows at a time."""
        width = table.shape[1]
        step = _rows_at_a_time(len(self.columns), self.num_warps * width)
        starts = torch.tensor(self.starts[:-1], dtype=torch.int32, device=table.device)
        first_taps = torch.arange(step, dtype=torch.int32, device=table.device) * self.starts[-1]
        bags = first_taps[:, None] + starts  # (rows, K)
        for first in range(0, len(self.columns), step):
            rows = slice(first, first + step)
            columns = self.columns[rows]
            warped = F.embedding_bag(
                columns.flatten(),
                table,
                offsets=bags[: len(columns)].flatten(),
                per_sample_weights=self.coefficients[rows].flatten(),
                mode='sum',
            )
            yield rows, warped.view(-1, self.num_warps, width).transpose(0, 1).reshape(self.num_warps, -1)

    def _transpose(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Taps in the order of the pixels that they read.

        Returns:
            Their output rows, the first position of each pixel, their coefficients and their places in a row.
        """
        if self._transposed is None:
            columns, num_taps = self.columns.flatten(), self.starts[-1]
            order = columns.argsort(stable=True)
            counts = torch.bincount(columns, minlength=self.table_rows)
            rows, taps = order.div(num_taps, rounding_mode='floor').int(), order.remainder(num_taps).int()
            offsets = (counts.cumsum(0) - counts).int()
            self._transposed = rows, offsets, self.coefficients.flatten()[order], taps
        return self._transposed


def _share_warps(num_sums: int, width: int) -> bool:
    """Whether several weighted sums are made together."""
    return num_sums > (_FEW_OF_NARROW if width <= _NARROW else _FEW)


def _rows_at_a_time(rows: int, width: int) -> int:
    """Rows whose ``width`` columns have about ``_CHUNK`` elements."""
    return min(rows, max(1, _CHUNK // width))


def _warp_taps(theta: Tensor | None, first_rows: Tensor, size: Sequence[int], padding: str) -> tuple[Tensor, Tensor]:
    """Taps of one warp without those that are zero everywhere, (G*H*W, 1 to 4) each.

    Args:
        first_rows: (G,), rows of the table where the frames' images begin.
    """
    first_rows = first_rows[:, None, None]
    if theta is None:
        columns = torch.arange(size[0] * size[1], device=first_rows.device)[:, None] + first_rows
        coefficients = torch.ones_like(columns, dtype=torch.float64)
    else:
        columns, coefficients = bilinear_taps(theta.double().to(first_rows.device), size, padding)
        used = coefficients.amax(dim=(0, 1)) > 0
        if not used.any():  # everything lies outside: keep one tap, of zeros
            used = torch.arange(len(used), device=used.device) == 0
        columns, coefficients = columns[..., used] + first_rows, coefficients[..., used]
    return columns.flatten(0, 1).int(), coefficients.flatten(0, 1)
