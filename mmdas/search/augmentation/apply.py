"""Apply drawn operations to a batch of images and their label maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdas.ops.affine import PADDINGS, sampling_grid

from ..policy_file import PolicyError, shown
from .operations import AUGMENT_OPERATIONS, AugmentOperation

Fill = float | str | Sequence[float]
INTERPOLATIONS = ('bilinear', 'nearest')
IGNORE_INDEX = 255
LARGEST_LABEL = 2**23  # float32, in which labels are moved, holds integers up to the double of it
TIE = 1e-3  # of a pixel, far above the rounding of coordinates


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True)
class Drawn:
    """Which operations a batch gets, one slot after the other.

    Args:
        operations: names that ``indices`` point into.
        indices: (N, S) for N images and S slots; -1: nothing.
        magnitudes: (N, S), in the units of the operations.
    """

    operations: tuple[str, ...]
    indices: Tensor
    magnitudes: Tensor

    @classmethod
    def same(cls, sequence: Sequence[tuple[str, float]], count: int) -> 'Drawn':
        """The same sequence of (operation, magnitude) for ``count`` images."""
        names = tuple(dict.fromkeys(name for name, _ in sequence))
        indices = torch.tensor([names.index(name) for name, _ in sequence], dtype=torch.long)
        magnitudes = torch.tensor([magnitude for _, magnitude in sequence], dtype=torch.float32)
        return cls(names, indices.expand(count, -1), magnitudes.expand(count, -1))


@dataclass(frozen=True)
class Canvas:
    """How warps sample, and what fills the places that no pixel of the image comes to.

    Args:
        fill: a value in [0, 1] for all channels, or one for each, or ``'border'`` (the nearest pixel) or
            ``'reflection'``. Default: 0.5, grey.
        interpolation: of images, ``'bilinear'`` (default) or ``'nearest'``. Labels take the nearest pixel always.
        ignore_index: of labels in these places. Default: 255.

    Raises:
        ValueError: for another word, or a fill outside [0, 1].
    """

    fill: Fill = 0.5
    interpolation: str = 'bilinear'
    ignore_index: int = IGNORE_INDEX

    def __post_init__(self) -> None:
        words = [word for word in PADDINGS if word != 'zeros']
        shares = bool(self.values) and all(map(_is_share, self.values))
        if not (self.fill in words if isinstance(self.fill, str) else shares):
            raise ValueError(
                f'fill must be a number in [0, 1], one for each channel, or one of {words}, got {shown(self.fill)}'
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f'interpolation must be one of {INTERPOLATIONS}, got {shown(self.interpolation)}')
        if type(self.ignore_index) is not int or abs(self.ignore_index) > LARGEST_LABEL:
            raise ValueError(
                f'ignore_index must be an integer, at most {LARGEST_LABEL} in size, got {shown(self.ignore_index)}'
            )

    @property
    def values(self) -> list:
        """The fill as a list of numbers, none for one by a word."""
        if isinstance(self.fill, str):
            return []
        return list(self.fill) if isinstance(self.fill, Sequence) else [self.fill]

    def warp(self, images: Tensor, labels: Tensor | None, theta: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images (N, C, H, W) and labels (N, 1, H, W) where their matrices (N, 2, 3) say.

        Half precision has no room for the coordinates of pixels, nor for labels: both are float32 at least.
        """
        dtype = torch.promote_types(images.dtype, torch.float32)
        grid = sampling_grid(theta.to(images.device, dtype), images.shape[-2:])
        warped = self._sample(images.to(dtype), grid).to(images.dtype)
        if labels is None:
            return warped, None
        moved = labels.to(dtype) - self.ignore_index  # so that zero, which fills, is the ignored label
        if self.interpolation != 'nearest':  # else labels take the very pixels that the images take
            grid = beside_ties(grid, images.shape[-2:])
        moved = F.grid_sample(moved, grid, mode='nearest', align_corners=False)
        return warped, moved.add_(self.ignore_index).to(labels.dtype)

    def _sample(self, images: Tensor, grid: Tensor) -> Tensor:
        values = self.values
        if len(values) not in (0, 1, images.shape[1]):
            raise PolicyError(
                f'fill has {len(values)} values, the images have {images.shape[1]} channels; set fill of the policy to '
                'one number for all channels'
            )
        if not any(values):  # a word, or black
            padding = self.fill if isinstance(self.fill, str) else 'zeros'
            return F.grid_sample(images, grid, mode=self.interpolation, padding_mode=padding, align_corners=False)
        fill = images.new_tensor(values).view(-1, 1, 1)
        return F.grid_sample(images - fill, grid, mode=self.interpolation, align_corners=False).add_(fill)


def beside_ties(grid: Tensor, size: Sequence[int]) -> Tensor:
    """A grid (N, H, W, 2) whose points lie just beside where two pixels are equally near.

    PyTorch takes the even one of the two, so that a warp by half a pixel would show every second one twice and lose the
    others.

    Args:
        grid: in the coordinates of ``grid_sample``, -1 to 1 over the image.
        size: (H, W) of the image.
    """
    return grid - grid.new_tensor([2 * TIE / size[1], 2 * TIE / size[0]])


def apply_drawn(
    images: Tensor, labels: Tensor | None, drawn: Drawn, canvas: Canvas | None = None
) -> tuple[Tensor, Tensor | None]:
    """Apply what was drawn, slot by slot.

    Args:
        images: (N, C, H, W) in [0, 1], RGB or grey for operations that read grey.
        labels: (N, M, H, W), M maps of integers, of any integer type or held as float32 or float64, or None. Warps
            move them with the pixels.
        drawn: for these N images.
        canvas: of warps.

    Returns:
        New images and labels; those that get nothing are as before. Differentiable in the images.

    Raises:
        ValueError: for labels of another type, or one that cannot hold the ignore index; for a fill that does not fit
            the channels.
    """
    canvas = canvas or Canvas()
    if labels is not None:
        _check_labels(labels, canvas.ignore_index)
    operations = [AUGMENT_OPERATIONS[name] for name in drawn.operations]
    for slot in range(drawn.indices.shape[1]):
        images, labels = _apply_slot(
            images, labels, operations, drawn.indices[:, slot], drawn.magnitudes[:, slot], canvas
        )
    return images, labels


def _check_labels(labels: Tensor, ignore_index: int) -> None:
    if labels.dtype in (torch.float32, torch.float64):
        return
    if labels.dtype.is_floating_point or labels.dtype.is_complex or labels.dtype == torch.bool:
        raise ValueError(f'labels must be integers, or held as float32 or float64, got {labels.dtype}')
    kind = torch.iinfo(labels.dtype)
    if not kind.min <= ignore_index <= kind.max:
        raise ValueError(
            f'labels of {labels.dtype} cannot hold the ignore_index {ignore_index}; give int64, or another index'
        )


def _apply_slot(
    images: Tensor,
    labels: Tensor | None,
    operations: Sequence[AugmentOperation],
    indices: Tensor,
    magnitudes: Tensor,
    canvas: Canvas,
) -> tuple[Tensor, Tensor | None]:
    """One operation for each image: those that share one together, and all warps together."""
    groups: dict[int, list[int]] = {}
    for place, index in enumerate(indices.tolist()):
        if index >= 0 and operations[index].name != 'identity':
            groups.setdefault(index, []).append(place)
    warped: list[int] = []
    matrices: list[Tensor] = []
    changed: list[tuple[list[int], Tensor]] = []
    moved: list[tuple[list[int], Tensor]] = []
    size = (images.shape[-2], images.shape[-1])
    for index, places in groups.items():
        operation, strengths = operations[index], magnitudes[places]
        if operation.flips is not None:
            changed.append((places, operation.function(_pick(images, places), strengths)))
            if labels is not None:
                moved.append((places, _pick(labels, places).flip(operation.flips)))
        elif operation.matrix is not None:
            warped += places
            matrices.append(operation.matrix(strengths.float(), size))
        else:
            strengths = strengths.to(images.device, images.dtype)
            changed.append((places, operation.function(_pick(images, places), strengths)))
    if warped:
        picked = None if labels is None else _pick(labels, warped)
        there, labels_there = canvas.warp(_pick(images, warped), picked, torch.cat(matrices))
        changed.append((warped, there))
        if labels_there is not None:
            moved.append((warped, labels_there))
    return _put(images, changed), labels if labels is None else _put(labels, moved)


def _pick(batch: Tensor, places: list[int]) -> Tensor:
    """These entries; a view of the batch where they follow each other."""
    first, count = places[0], len(places)
    if places == list(range(first, first + count)):
        return batch[first : first + count]
    return batch.index_select(0, torch.tensor(places, device=batch.device))


def _put(batch: Tensor, parts: Sequence[tuple[list[int], Tensor]]) -> Tensor:
    """A batch with new entries in some places."""
    if not parts:
        return batch
    if parts[0][0] == list(range(len(batch))):
        return parts[0][1].to(batch.dtype)
    entries = list(batch.unbind())
    for places, values in parts:
        for place, value in zip(places, values.to(batch.dtype).unbind(), strict=True):
            entries[place] = value
    return torch.stack(entries)
