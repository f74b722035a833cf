"""The published policies whose tables torchvision has: AutoAugment, RandAugment, TrivialAugment.

The tables are read from the installed torchvision when they are asked for. Directions, signs and amounts are those of
its transforms, with two differences:

* Shears leave the centre where it is, torchvision's the upper left corner. Its pictures are besides moved, by the slope
  times half a side: 15 % of the side at a slope of 0.3.
* Shifts are not cut to whole pixels.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from .apply import Fill
from .foreign_units import bits_removed, choice, choice_between, lowered_threshold
from .parts import Choice, Stage, SubPolicy
from .policy import AugmentPolicy

AUTO_AUGMENT = ('cifar10', 'imagenet', 'svhn')
# torchvision's words; also those of the genotypes of DADA and Fast AutoAugment.
NAMES = {
    'Identity': 'identity',
    'ShearX': 'shear_x',
    'ShearY': 'shear_y',
    'TranslateX': 'translate_x',
    'TranslateY': 'translate_y',
    'Rotate': 'rotate',
    'Brightness': 'brightness',
    'Color': 'saturation',
    'Contrast': 'contrast',
    'Sharpness': 'sharpness',
    'Posterize': 'posterize',
    'Solarize': 'solarize',
    'AutoContrast': 'auto_contrast',
    'Equalize': 'equalize',
    'Invert': 'invert',
}
AUTO_AUGMENT_BINS = 10
Entry = tuple[Callable[[int, int, int], Tensor | None], bool]  # magnitudes of (bins, height, width), whether signed


def auto_augment(name: str, fill: Fill = 0.0, interpolation: str = 'nearest') -> AugmentPolicy:
    """A policy of AutoAugment (Cubuk et al., CVPR 2019): 25 sub-policies of two operations each.

    Args:
        name: ``'cifar10'``, ``'imagenet'`` or ``'svhn'``, what it was searched on.
        fill, interpolation: of the policy. Default: as in torchvision's transform, black and nearest.

    Raises:
        ValueError: for another name.
    """
    from torchvision.transforms import v2

    if name not in AUTO_AUGMENT:
        raise ValueError(f'AutoAugment has policies of {list(AUTO_AUGMENT)}, got {name!r}')
    transform = v2.AutoAugment(v2.AutoAugmentPolicy(name))
    table = _table(transform)

    def stage(operation: str, probability: float, place: int | None) -> Stage:
        values, signed = _values(table, operation, AUTO_AUGMENT_BINS)
        magnitude = 0.0 if place is None else values[place]
        return Stage((choice(NAMES[operation], magnitude, probability=probability, signed=signed),))

    subs = tuple(SubPolicy(tuple(stage(*step) for step in steps)) for steps in _attribute(transform, '_policies'))
    return _policy(subs, f'AutoAugment of {name}', fill, interpolation)


def rand_augment(
    num_ops: int = 2,
    magnitude: int = 9,
    num_magnitude_bins: int = 31,
    fill: Fill = 0.0,
    interpolation: str = 'nearest',
) -> AugmentPolicy:
    """RandAugment (Cubuk et al., 2020): some of 14 operations, all at one level.

    Args:
        num_ops: operations, one after the other, drawn with replacement. Default: 2.
        magnitude: the level, 0 to ``num_magnitude_bins - 1``. Default: 9.
        num_magnitude_bins: levels. Default: 31.
        fill, interpolation: of the policy. Default: as in torchvision's transform, black and nearest.

    Raises:
        ValueError: for a level that is not there.
    """
    from torchvision.transforms import v2

    if not 0 <= magnitude < num_magnitude_bins:
        raise ValueError(f'magnitude of RandAugment must be in 0..{num_magnitude_bins - 1}, got {magnitude}')
    table = _table(v2.RandAugment())

    def one(operation: str) -> Choice:
        values, signed = _values(table, operation, num_magnitude_bins)
        return choice(NAMES[operation], values[magnitude] if values else 0.0, signed=signed)

    subs = (SubPolicy((Stage(tuple(map(one, table)), num_ops),)),)
    method = f'RandAugment, {num_ops} operations at {magnitude} of {num_magnitude_bins - 1}'
    return _policy(subs, method, fill, interpolation)


def trivial_augment(
    size: Sequence[int], num_magnitude_bins: int = 31, fill: Fill = 0.0, interpolation: str = 'nearest'
) -> AugmentPolicy:
    """TrivialAugment (Mueller and Hutter, ICCV 2021), wide space: one operation, its magnitude uniform.

    Args:
        size: (H, W) of the training's images in pixels. Shifts are up to 32 pixels, whatever the size; here they are
            shares of it, at most the whole side.
        num_magnitude_bins: levels of ``posterize``, whose bits are drawn with torchvision's frequencies. The other
            magnitudes are drawn from all numbers of their range, not from that many. Default: 31.
        fill, interpolation: of the policy. Default: as in torchvision's transform, black and nearest.

    Raises:
        ValueError: for a size that is no image's.
    """
    from torchvision.transforms import v2

    if len(size) != 2 or min(size) < 1:
        raise ValueError(f'size must be (height, width) in pixels, got {size}')
    table = _table(v2.TrivialAugmentWide())
    sides = {'TranslateX': size[1], 'TranslateY': size[0]}

    def some(operation: str) -> list[Choice]:
        values, signed = _values(table, operation, num_magnitude_bins)
        if not values:
            return [choice(NAMES[operation])]
        if operation == 'Posterize':
            counts = Counter(values)
            return [choice('posterize', value, weight=count / len(values)) for value, count in counts.items()]
        side = sides.get(operation, 1)
        low, high = (min(value / side, 1.0) if operation in sides else value for value in (min(values), max(values)))
        return [choice_between(NAMES[operation], low, high, signed=signed)]

    choices = tuple(one for operation in table for one in some(operation))
    method = f'TrivialAugment, wide, for images of {size[0]} x {size[1]}'
    return _policy((SubPolicy((Stage(choices),)),), method, fill, interpolation)


def _policy(subs: tuple[SubPolicy, ...], method: str, fill: Fill, interpolation: str) -> AugmentPolicy:
    import torchvision

    origin = {'method': method, 'tables': f'torchvision {torchvision.__version__}'}
    return AugmentPolicy(subs, fill=fill, interpolation=interpolation, origin=origin)


def _table(transform: Any) -> Mapping[str, Entry]:
    table = _attribute(transform, '_AUGMENTATION_SPACE')
    unknown = sorted(set(table) - set(NAMES))
    if unknown:
        raise RuntimeError(
            f'{type(transform).__name__} of this torchvision has operations that are not known here: {unknown}'
        )
    return table


def _attribute(transform: Any, name: str) -> Any:
    try:
        return getattr(transform, name)
    except AttributeError:
        import torchvision

        raise RuntimeError(
            f'{type(transform).__name__} of torchvision {torchvision.__version__} has no {name}, from which its policy '
            'is read; another version of torchvision has it'
        ) from None


def _values(table: Mapping[str, Entry], operation: str, bins: int) -> tuple[list[float], bool]:
    """Magnitudes of all levels in our units, none for an operation without; and whether their sign is drawn.

    Asked for an image of one pixel a side, the table gives shares of the side in place of pixels.
    """
    function, signed = table[operation]
    levels = function(bins, 1, 1)
    if levels is None:
        return [], False
    found = [float(level) for level in levels]
    if operation == 'Posterize':
        return [float(bits_removed(int(bits), 'torchvision')) for bits in found], signed
    if operation == 'Solarize':
        return [lowered_threshold((255 * level).item()) for level in levels.float()], signed  # compared in float32
    return [round(value, 6) for value in found], signed  # which are float32
