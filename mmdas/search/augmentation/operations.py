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
        effect: what it does, or what a positive magnitude does, for the table of docs/augmentation.md.
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
    effect: str = ''

    @property
    def has_magnitude(self) -> bool:
        """Whether a magnitude means anything."""
        return self.low != self.high

    @property
    def geometric(self) -> bool:
        """Whether labels follow."""
        return self.matrix is not None


def _full(changed: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function of images as one that also takes magnitudes, which have no meaning."""
    return lambda images, magnitude: changed(images)


def _negative(images: Tensor) -> Tensor:
    return 1 - images


def _warp(name: str, limit: float, unit: str, effect: str) -> AugmentOperation:
    function, matrix = getattr(affine, name), getattr(affine, f'{name}_matrix')
    return AugmentOperation(name, function, -limit, limit, unit, matrix=matrix, signed=True, effect=effect)


def _flip(name: str, axis: int, effect: str) -> AugmentOperation:
    function, matrix = getattr(flip, name), getattr(flip, f'{name}_matrix')
    return AugmentOperation(name, function, 0, 0, 'none', matrix=matrix, flips=axis, effect=effect)


def _plain(name: str, function: Callable[..., Tensor], effect: str) -> AugmentOperation:
    return AugmentOperation(name, function, 0, 0, 'none', effect=effect)


def _factor(name: str, effect: str, reads_grey: bool = False) -> AugmentOperation:
    function = getattr(photometric, name)
    return AugmentOperation(name, function, -1.0, 10.0, 'factor - 1', signed=True, reads_grey=reads_grey, effect=effect)


def _one_sided(name: str, high: float, unit: str, effect: str) -> AugmentOperation:
    return AugmentOperation(name, getattr(photometric, name), 0, high, unit, effect=effect)


BUILT_IN = (
    _plain('identity', _full(lambda images: images), 'leaves the image as it is'),
    _flip('horizontal_flip', -1, 'mirrors left to right'),
    _flip('vertical_flip', -2, 'mirrors top to bottom'),
    _warp('rotate', 180, 'degree', 'turns the content counter-clockwise about the centre'),
    _warp('translate_x', 1, 'width', 'moves the content right'),
    _warp('translate_y', 1, 'height', 'moves the content down'),
    _warp('shear_x', 5, 'slope', 'moves the lower half left and the upper half right'),
    _warp('shear_y', 5, 'slope', 'moves the right half up and the left half down'),
    AugmentOperation(
        'scale', affine.scale, -0.9, 10, 'relative size', affine.scale_matrix, effect='enlarges the content'
    ),
    _plain('auto_contrast', _full(photometric.stretched), 'stretches each channel to the full range'),
    _plain('equalize', _full(photometric.equalized), 'flattens the histogram of each channel'),
    _plain('invert', _full(_negative), 'gives the negative'),
    _plain('blur', photometric.blur, "blurs as Pillow's BLUR: the mean of a ring two pixels away"),
    _plain('smooth', _full(photometric.smoothed), "smooths as Pillow's SMOOTH: the far end of sharpness"),
    _one_sided('posterize', 7, 'bits removed', 'removes the lowest bits'),
    _one_sided('solarize', 1, 'lowering of the threshold', 'inverts the brightest pixels'),
    _one_sided('solarize_add', 1, 'share of white', 'brightens the lower half of the range'),
    _factor('saturation', 'makes colours stronger', reads_grey=True),
    _factor('contrast', 'moves pixels away from mean grey', reads_grey=True),
    _factor('brightness', 'brightens'),
    _factor('sharpness', 'sharpens'),
    _one_sided('noise', 1, 'standard deviation', 'adds Gaussian noise, at random'),
    _one_sided('cutout', 2, 'shorter side', 'covers a square with grey, anywhere, at random'),
)
AUGMENT_OPERATIONS: Mapping[str, AugmentOperation] = MappingProxyType({entry.name: entry for entry in BUILT_IN})
