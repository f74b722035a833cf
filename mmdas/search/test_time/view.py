"""A view of an image: what a network looks at in its place, and how its prediction is carried back."""

from dataclasses import dataclass
from math import isfinite

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdas.ops.affine import inverse, sampling_grid, warp_affine
from mmdas.search.das.operation import SIDES, Operation, Size
from mmdas.search.das.operation_table import OPERATIONS, known_operations
from mmdas.search.das.pixels import Pixels
from mmdas.search.policy_file import PolicyError, shown

PADDING = 'reflection'  # what a warp uncovers: a mirrored image is nearer to images than a bar of one colour
SIZES = (0.125, 8.0)  # of a view, in units of the image's sides
LARGEST = 1e4  # of a magnitude
STEEPEST = 100.0  # entry of a warp's matrix: beyond, nothing of the image is left
CLOSE = 1e-4  # of a pixel's place to the edge, in units of half a side


@dataclass(frozen=True)
class View:
    """An operation on the image, then its mirror image if ``flip``, then another size.

    Args:
        operation: name in the table of operations: ``'identity'``, a warp, or one on colours that draws no random
            numbers. What a warp uncovers is filled with the mirrored image.
        magnitude: of the operation, in its unit; what it does is what it does to the frame behind the reference frame.
            Shifts are rounded to whole pixels, so that nothing is blurred.
        flip: whether left and right change places.
        size: what the sides of the image are multiplied by, in [0.125, 8].

    Raises:
        PolicyError: if a field is not usable, naming it.
    """

    operation: str = 'identity'
    magnitude: float = 0.0
    flip: bool = False
    size: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.operation, str) or self.operation not in OPERATIONS:
            raise PolicyError(f'operation is {shown(self.operation)}; {known_operations()}')
        for name, low, high in (('magnitude', -LARGEST, LARGEST), ('size', *SIZES)):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:  # NaN compares false
                raise PolicyError(f'{name} is {shown(value)}, expected a number from {low:g} to {high:g}')
        if not isinstance(self.flip, bool):
            raise PolicyError(f'flip is {shown(self.flip)}, expected true or false')
        self._check_operation(OPERATIONS[self.operation])

    def _check_operation(self, operation: Operation) -> None:
        if operation.random or operation.deforms:
            why = 'draws random numbers' if operation.random else 'moves pixels as nothing can undo'
            raise PolicyError(f'operation is {operation.name!r}, which {why}; a view takes another one')
        if operation.is_identity and self.magnitude != 0:
            raise PolicyError(f'magnitude is {self.magnitude}, but the identity has none; set it to 0')
        if operation.geometric:
            if operation.growth == 'power' and self.magnitude <= -1:
                raise PolicyError(f'magnitude is {self.magnitude}, but {operation.name} needs more than -1')
            theta = self._matrix((64, 64))
            determinant = float(torch.linalg.det(theta[0, :, :2]))
            if not (isfinite(determinant) and abs(determinant) > 1 / STEEPEST and float(theta.abs().max()) <= STEEPEST):
                raise PolicyError(
                    f'magnitude is {self.magnitude}, with which {operation.name} leaves nothing of the image; lower it'
                )

    @property
    def is_image(self) -> bool:
        """Whether it is the image as it is."""
        return OPERATIONS[self.operation].is_identity and not self.flip and self.size == 1

    @property
    def sees_all(self) -> bool:
        """Whether it shows every pixel of the image: all but warps do."""
        return not OPERATIONS[self.operation].geometric

    @property
    def changes_colours(self) -> bool:
        """Whether its operation needs to know which value is white, and in which order colours come."""
        return OPERATIONS[self.operation].kind == 'colour'

    def __str__(self) -> str:
        operation = OPERATIONS[self.operation]
        parts = [] if operation.is_identity else [f'{operation.name} {self.magnitude:+g} {operation.unit}']
        parts += ['flip'] if self.flip else []
        parts += [] if self.size == 1 else [f'size {self.size:g}']
        return ', '.join(parts) or 'image'

    def resized(self, size: Size) -> Size:
        """(H, W) of the view of an image of that size."""
        return tuple(max(1, round(side * self.size)) for side in size)

    def apply(self, images: Tensor, pixels: Pixels | None = None) -> Tensor:
        """What the network looks at.

        Args:
            images: (N, C, H, W), floating point, normalised as the network takes them.
            pixels: how they stand to colours; None: they are colours in [0, 1].

        Returns:
            (N, C, h, w), with :meth:`resized` of (H, W).
        """
        operation = OPERATIONS[self.operation]
        size = images.shape[-2:]
        if operation.geometric:
            theta = self._matrix(size).to(images.device, torch.promote_types(images.dtype, torch.float32))
            images = warp_affine(images, theta.expand(images.shape[0], 2, 3), PADDING)
        elif not operation.is_identity:
            images = self._recolour(images, operation, pixels or Pixels())
        images = images.flip(-1) if self.flip else images
        if self.resized(size) != tuple(size):
            images = F.interpolate(images, self.resized(size), mode='bilinear', align_corners=False)
        return images

    def undo(self, maps: Tensor, size: Size) -> tuple[Tensor, Tensor]:
        """Carry maps of the view back to where the image is; each is sampled once.

        Args:
            maps: (N, K, h, w) of any resolution, over the whole view, such as probabilities.
            size: (H, W) of the image.

        Returns:
            The maps over the image (N, K, H, W), and which of its pixels the view shows, (N, 1, H, W), 1 or 0. What a
            map says of the others is without meaning.
        """
        if self.sees_all:
            maps = maps.flip(-1) if self.flip else maps
            if tuple(maps.shape[-2:]) != tuple(size):
                maps = F.interpolate(maps, tuple(size), mode='bilinear', align_corners=False)
            return maps, maps.new_ones(maps.shape[0], 1, *size)
        dtype = torch.promote_types(maps.dtype, torch.float32)
        grid = sampling_grid(inverse(self._matrix(size)).to(maps.device, dtype), size)  # (1, H, W, 2)
        seen = (grid.abs() <= 1 + CLOSE).all(dim=-1)[:, None].expand(maps.shape[0], 1, *size)
        if self.flip:
            grid = grid * grid.new_tensor([-1, 1])
        grid = grid.expand(maps.shape[0], *size, 2)
        back = F.grid_sample(maps.to(dtype), grid, mode='bilinear', padding_mode='border', align_corners=False)
        return back.to(maps.dtype), seen.to(maps.dtype)

    def _matrix(self, size: Size) -> Tensor:
        """(1, 2, 3) on the CPU, in double precision: places in the warped image to places in the image."""
        operation = OPERATIONS[self.operation]
        assert operation.matrix is not None
        magnitude = float(self.magnitude)
        if operation.unit in SIDES:
            side = SIDES[operation.unit](tuple(size))
            magnitude = round(magnitude * side) / side
        return operation.matrix(torch.tensor([magnitude], dtype=torch.float64), tuple(size))

    def _recolour(self, images: Tensor, operation: Operation, pixels: Pixels) -> Tensor:
        colours = pixels.scale(images) + pixels.zero
        magnitude = colours.new_full((images.shape[0],), self.magnitude)
        return pixels.unscale(operation.function(colours, magnitude) - pixels.zero).to(images.dtype)
