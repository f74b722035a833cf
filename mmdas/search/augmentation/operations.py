"""The operations of augmentation policies: the AutoAugment set (Cubuk et al., CVPR 2019) and those of DDAS.

Magnitudes mean what they mean in :mod:`mmdas.ops`, and 0 leaves an image as it is, wherever there is a magnitude:
degrees, shares of a side, slopes, factor - 1, bits removed, lowering of the threshold. Other libraries count otherwise;
see ``docs/augmentation.md``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from mmdas.ops import affine, flip, photometric


@dataclass(frozen=True)
class AugmentOperation:
    """An operation on image and label.

    Args:
        name: the word that policies use.
        function: ``function(images (N, C, H, W) in [0, 1], magnitude (N,)) -> (N, C, H, W)``. One with a matrix
            is not called by a policy: its warp is.
        matrix: ``matrix(magnitude (N,), (H, W)) -> (N, 2, 3)`` of the warp, see :func:`mmdas.ops.affine.warp_affine`;
            None for an operation on colours, which leaves labels as they are.
        low, high: magnitudes that the operation takes, in ``unit``. Both 0: it has none.
        unit: what the magnitude counts.
        signed: whether a policy draws the sign of the magnitude where nothing else is said.
        flips: the axis that the operation mirrors, in place of a warp.
        reads_grey: whether the operation needs to know what grey is, hence RGB or grey images.
    """

    name: str
    function: Callable[..., Tensor]
    low: float
    high: float
    unit: str
    matrix: Callable[[Tensor, tuple[int, ...]], Tensor] | None = None
    signed: bool = False
    flips: int | None = None
    reads_grey: bool = False

    @property
    def has_magnitude(self) -> bool:
        """Whether a magnitude means anything."""
        return self.low != self.high

    @property
    def geometric(self) -> bool:
        """Whether labels follow."""
        return self.matrix is not None


def _identity(images: Tensor, magnitude: Tensor) -> Tensor:
    return images


def _full(function: Callable) -> Callable:
    """A blend at full share."""

    def apply(images: Tensor, magnitude: Tensor) -> Tensor:
        return function(images, magnitude.new_ones(len(magnitude)))

    return apply


def _smooth(images: Tensor, magnitude: Tensor) -> Tensor:
    """The far end of sharpness."""
    return photometric.sharpness(images, magnitude.new_full((len(magnitude),), -1.0))


def _warp(name: str, limit: float, unit: str) -> AugmentOperation:
    function, matrix = getattr(affine, name), getattr(affine, f'{name}_matrix')
    return AugmentOperation(name, function, -limit, limit, unit, matrix=matrix, signed=True)


def _factor(name: str, reads_grey: bool = False) -> AugmentOperation:
    function = getattr(photometric, name)
    return AugmentOperation(name, function, -1.0, 10.0, 'factor - 1', signed=True, reads_grey=reads_grey)


BUILT_IN = (
    AugmentOperation('identity', _identity, 0, 0, 'none'),
    AugmentOperation('horizontal_flip', flip.horizontal_flip, 0, 0, 'none', flip.horizontal_flip_matrix, flips=-1),
    AugmentOperation('vertical_flip', flip.vertical_flip, 0, 0, 'none', flip.vertical_flip_matrix, flips=-2),
    _warp('rotate', 180, 'degree'),
    _warp('translate_x', 1, 'width'),
    _warp('translate_y', 1, 'height'),
    _warp('shear_x', 5, 'slope'),
    _warp('shear_y', 5, 'slope'),
    AugmentOperation('scale', affine.scale, -0.9, 10, 'relative size', affine.scale_matrix),
    AugmentOperation('auto_contrast', _full(photometric.auto_contrast), 0, 0, 'none'),
    AugmentOperation('equalize', _full(photometric.equalize), 0, 0, 'none'),
    AugmentOperation('invert', _full(photometric.invert), 0, 0, 'none'),
    AugmentOperation('blur', photometric.blur, 0, 0, 'none'),
    AugmentOperation('smooth', _smooth, 0, 0, 'none'),
    AugmentOperation('posterize', photometric.posterize, 0, 7, 'bits removed'),
    AugmentOperation('solarize', photometric.solarize, 0, 1, 'lowering of the threshold'),
    AugmentOperation('solarize_add', photometric.solarize_add, 0, 1, 'share of white'),
    _factor('saturation', reads_grey=True),
    _factor('contrast', reads_grey=True),
    _factor('brightness'),
    _factor('sharpness'),
    AugmentOperation('noise', photometric.noise, 0, 1, 'standard deviation'),
    AugmentOperation('cutout', photometric.cutout, 0, 2, 'shorter side'),
)
AUGMENT_OPERATIONS: Mapping[str, AugmentOperation] = MappingProxyType({entry.name: entry for entry in BUILT_IN})
