"""Affine warps of images of one size as a sparse linear map, for warps that are applied many times.

``warp_affine`` finds, for every output pixel, four input pixels and their bilinear coefficients, and forgets them. A
:class:`WarpOperator` keeps these *taps* of several warps, so that a weighted sum of all warps is a single pass over
the output. Images are *tables* here: a pixel is a row, and all images and channels, which move alike, are its columns.
"""

from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from .affine import PADDINGS, sampling_grid

# Positions that are so close to a pixel, in pixels, are at it: an integer translation then has one tap instead of four.
_NOISE = 1e-9
# Elements of a temporary that are made at a time: few enough for the processor's cache.
_CHUNK = 1 << 19


def bilinear_taps(theta: Tensor, size: tuple[int, int], padding: str = 'zeros') -> tuple[Tensor, Tensor]:
    """Input pixels and coefficients of ``warp_affine``.

    Args:
        theta: (N, 2, 3), maps normalised output to normalised input coordinates, as of ``warp_affine``.
        size: (H, W) of input and output.
        padding: ``'zeros'``, ``'border'`` or ``'reflection'``.

    Returns:
        Indices of input pixels, (N, H*W, 4) int64 in [0, H*W), and their coefficients, (N, H*W, 4) in the dtype of
        theta; a tap outside the image has the coefficient 0.

    Raises:
        ValueError: if the padding is unknown.
    """
    if padding not in PADDINGS:
        raise ValueError(f'padding must be one of {PADDINGS}, got {padding!r}')
    height, width = size
    grid = sampling_grid(theta, size)  # (N, H, W, 2)
    x, x_inside = _side_taps(grid[..., 0], width, padding)
    y, y_inside = _side_taps(grid[..., 1], height, padding)
    columns = y[:, None] * width + x[None]  # (2, 2, N, H, W)
    coefficients = y_inside[:, None] * x_inside[None]
    return columns.flatten(0, 1).flatten(2).permute(1, 2, 0), coefficients.flatten(0, 1).flatten(2).permute(1, 2, 0)


def _side_taps(position: Tensor, length: int, padding: str) -> tuple[Tensor, Tensor]:
    """Indices and coefficients of the two neighbours along one side, (2, ...) each, for normalised positions (...)."""
    pixel = ((position + 1) * length - 1) / 2
    if padding == 'reflection':  # mirrored at the outer edges -0.5 and length - 0.5
        pixel = (pixel + 0.5).remainder(2 * length)
        pixel = torch.minimum(pixel, 2 * length - pixel) - 0.5
    if padding != 'zeros':
        pixel = pixel.clamp(0, length - 1)
    nearest = pixel.round()
    pixel = torch.where((pixel - nearest).abs() < _NOISE, nearest, pixel)
    first = pixel.floor()
    fraction = pixel - first
    index = torch.stack([first, first + 1])
    inside = (index >= 0) & (index < length)
    coefficient = torch.stack([1 - fraction, fraction]) * inside
    return index.clamp(0, length - 1).long(), coefficient


class WarpOperator:
    """K warps for each of G groups of pixels (the frames of a clip) as a sparse matrix with G*H*W rows.

    Args:
        theta: K matrices (G, 2, 3) of ``warp_affine``, or None for the identity.
        size: (H, W).
        padding: as of ``warp_affine``.
        dtype: of the tables, float32 or float64.
        num_groups: G, needed where every warp is the identity.

    Attributes:
        columns: (G*H*W, n) int32, rows of the table that an output row sums up, warp after warp.
        coefficients: (G*H*W, n).
        starts: position of the first tap of each warp, and n.
    """

    def __init__(
        self,
        theta: list[Tensor | None],
        size: tuple[int, int],
        padding: str = 'zeros',
        dtype: torch.dtype = torch.float32,
        num_groups: int | None = None,
    ) -> None:
        num_groups = num_groups or next(len(matrices) for matrices in theta if matrices is not None)
        taps = [_warp_taps(matrices, num_groups, size, padding) for matrices in theta]
        self.starts = (0, *accumulate(columns.shape[1] for columns, _ in taps))
        self.columns = torch.cat([columns for columns, _ in taps], dim=1)
        self.coefficients = torch.cat([coefficients for _, coefficients in taps], dim=1).to(dtype)
        counts = [last - first for first, last in zip(self.starts, self.starts[1:], strict=False)]
        self._warp_of_tap = torch.repeat_interleave(torch.tensor(counts))  # (n,)
        self._transposed: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    @property
    def num_warps(self) -> int:
        """K."""
        return len(self.starts) - 1

    def mix(self, table: Tensor, weights: Tensor) -> Tensor:
        """Weighted sum of the warps: (G*H*W, D), (K,) -> (G*H*W, D)."""
        weights = weights[self._warp_of_tap]
        step = _rows_at_a_time(len(table), len(weights))
        parts = [
            F.embedding_bag(columns, table, per_sample_weights=coefficients * weights, mode='sum')
            for columns, coefficients in zip(self.columns.split(step), self.coefficients.split(step), strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def mix_transposed(self, table: Tensor, weights: Tensor) -> Tensor:
        """The transposed map, which takes the gradient of :meth:`mix` back to its table: same shapes."""
        rows, offsets, coefficients, taps = self._transpose()
        values = coefficients * weights[self._warp_of_tap].index_select(0, taps)
        return F.embedding_bag(rows, table, offsets=offsets, per_sample_weights=values, mode='sum')

    def correlate(self, table: Tensor, others: Tensor) -> Tensor:
        """Inner products of each warp of some tables with other tables: the gradient of :meth:`mix` to its weights.

        The warped tables are made anew, a few rows at a time, instead of being kept from the forward pass.

        Args:
            table: (G*H*W, S, D), S tables side by side.
            others: (I, G*H*W, D).

        Returns:
            (I, K, S), the sum over rows and columns of ``others[i] * warp_k(table[:, s])``.
        """
        rows, sources, width = table.shape
        table, others = table.flatten(1), others.flatten(1)
        total = table.new_zeros(len(others), self.num_warps * sources)
        starts = torch.tensor(self.starts[:-1], dtype=torch.int32)
        step = _rows_at_a_time(rows, self.num_warps * sources * width)
        bags = torch.arange(step, dtype=torch.int32)[:, None] * self.starts[-1] + starts  # (rows, K)
        for start in range(0, rows, step):
            columns, coefficients = self.columns[start : start + step], self.coefficients[start : start + step]
            warped = F.embedding_bag(
                columns.flatten(),
                table,
                offsets=bags[: len(columns)].flatten(),
                per_sample_weights=coefficients.flatten(),
                mode='sum',
            )
            warped = warped.view(-1, self.num_warps, sources, width).permute(1, 2, 0, 3)
            total += others[:, start * width : (start + step) * width] @ warped.reshape(total.shape[1], -1).t()
        return total.unflatten(1, (self.num_warps, sources))

    def _transpose(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Taps in the order of the pixels that they read.

        Returns:
            Their output rows, the first position of each pixel, their coefficients and their places in a row.
        """
        if self._transposed is None:
            columns, num_taps = self.columns.flatten(), self.starts[-1]
            order = columns.argsort(stable=True)
            counts = torch.bincount(columns, minlength=len(self.columns))
            rows, taps = order.div(num_taps, rounding_mode='floor').int(), order.remainder(num_taps).int()
            offsets = (counts.cumsum(0) - counts).int()
            self._transposed = rows, offsets, self.coefficients.flatten()[order], taps
        return self._transposed


def _rows_at_a_time(rows: int, width: int) -> int:
    """Rows whose ``width`` columns have about ``_CHUNK`` elements."""
    return min(rows, max(1, _CHUNK // width))


def _warp_taps(theta: Tensor | None, num_groups: int, size: tuple[int, int], padding: str) -> tuple[Tensor, Tensor]:
    """Taps of one warp without those that are zero everywhere, (G*H*W, 1 to 4) each."""
    pixels = size[0] * size[1]
    if theta is None:
        rows = torch.arange(num_groups * pixels, dtype=torch.int32)[:, None]
        return rows, torch.ones_like(rows, dtype=torch.float64)
    columns, coefficients = bilinear_taps(theta.double(), size, padding)
    used = coefficients.amax(dim=(0, 1)) > 0
    used[0] |= not used.any()  # everything lies outside: keep one tap, of zeros
    columns = columns[..., used] + pixels * torch.arange(num_groups)[:, None, None]
    return columns.flatten(0, 1).int(), coefficients[..., used].flatten(0, 1)
