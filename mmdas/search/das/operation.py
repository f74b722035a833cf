"""One row of a search space: a frame transformation and how its strength grows along the clip."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Size = tuple[int, ...]  # (H, W) in pixels; torch.Size is one

KINDS = ('colour', 'warp', 'deformation')
GROWTHS = ('linear', 'power')
RAMPS = ('signed', 'mirrored')
# Units that count in a side of the image, and that side of a size (H, W).
SIDES: Mapping[str, Callable[[Size], int]] = {
    'width': lambda size: size[1],
    'height': lambda size: size[0],
    'shorter side': min,
}


@dataclass(frozen=True)
class Operation:
    """A frame transformation with the range of its strength per step of distance from the reference frame.

    Args:
        name: the word that policies and configs use.
        function: ``function(images (N, C, H, W), magnitude (N,), ...) -> (N, C, H, W)`` with magnitude 0 = identity.
            Geometric functions also take ``padding``, random ones also take ``generator``.
        low, high: range of the strength mu per step, in ``unit``.
        unit: what the strength counts. A unit of ``SIDES`` is a share of a side of the reference size.
        matrix: ``matrix(magnitude (N,), (H, W)) -> (N, 2, 3)`` of the affine warp that the function is, see
            :func:`mmdas.ops.affine.warp_affine`; None for a function that needs colours in [0, 1].
        growth: ``'linear'``: magnitude mu * d; ``'power'``: magnitude (1 + mu)^d - 1.
        random: the function draws random numbers.
        reads_grey: the function needs to know what grey is, and so three channels in the order RGB, or one.
        deforms: the function moves pixels as no matrix can say, so that nothing can undo it.
        effect: what a positive strength does to the frames behind the reference frame, for tables.
        limit: the largest strength that means something, of either sign; a range stays within it. Default: none.
        is_odd: whether only odd numbers mean something, as of flips, of which two are none.
        is_rounded: whether magnitudes are rounded to whole numbers.
    """

    name: str
    function: Callable[..., Tensor]
    low: float
    high: float
    unit: str
    matrix: Callable[[Tensor, Size], Tensor] | None = None
    growth: str = 'linear'
    random: bool = False
    reads_grey: bool = False
    deforms: bool = False
    effect: str = ''
    limit: float = math.inf
    is_odd: bool = False
    is_rounded: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether the operation has no strength because it does nothing."""
        return self.low == self.high == 0

    @property
    def geometric(self) -> bool:
        """Whether the operation moves pixels, all channels alike, so that a batch may be folded into them."""
        return self.matrix is not None

    @property
    def kind(self) -> str:
        """``'identity'``, or a word of ``KINDS``."""
        if self.is_identity:
            return 'identity'
        return 'warp' if self.geometric else 'deformation' if self.deforms else 'colour'

    @property
    def source(self) -> str:
        """Module and name of the function that a user has written: of the matrix for a warp."""
        function = self.matrix or self.function
        return f'{function.__module__}.{getattr(function, "__qualname__", type(function).__name__)}'

    @property
    def grows_with_image(self) -> bool:
        """Whether pixels far from the centre move further, so that larger images see larger displacements."""
        return (self.geometric or self.deforms) and self.unit not in SIDES

    def side_ratio(self, reference: Size | None, size: Size) -> float:
        """What turns shares of a side of the reference size into shares of the same side of an image.

        Args:
            reference: (H, W) that strengths refer to; None stands for the image's own size.
            size: (H, W) of the image.
        """
        if reference is None or self.unit not in SIDES:
            return 1.0
        return SIDES[self.unit](reference) / SIDES[self.unit](size)

    def magnitude(self, strength: Tensor, offsets: Tensor) -> Tensor:
        """Magnitudes of the frames at the distances ``offsets`` (any shape) for a scalar ``strength``."""
        if self.growth == 'power':
            return (1 + strength) ** offsets - 1
        return strength * offsets


def ramp_offsets(offsets: Tensor, ramp: str) -> Tensor:
    """Distances as the ramp sees them: d for ``'signed'``, their absolute values for ``'mirrored'``."""
    if ramp not in RAMPS:
        raise ValueError(f'ramp must be one of {RAMPS}, got {ramp!r}')
    return offsets.abs() if ramp == 'mirrored' else offsets


def check_size(size: Sequence[int] | None) -> Size | None:
    """The size as a tuple (H, W), or None.

    Raises:
        ValueError: unless it is two positive integers.
    """
    if size is None:
        return None
    if not isinstance(size, (tuple, list)) or len(size) != 2 or any(type(side) is not int or side < 1 for side in size):
        raise ValueError(f'reference_size must be (H, W), two positive integers, got {size!r}')
    return tuple(size)


def identity(images: Tensor, magnitude: Tensor) -> Tensor:
    """Return the images; the strength is without meaning."""
    return images


def draw_strength(operation: Operation, generator: torch.Generator) -> float:
    """A strength drawn uniformly from the operation's range."""
    return operation.low + (operation.high - operation.low) * torch.rand((), generator=generator).item()
