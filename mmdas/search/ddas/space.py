"""The search space of DDAS: operations at a few levels (Liu et al., ICCV 2021)."""

from collections.abc import Sequence

from mmdas.search.augmentation import AugmentPolicy, Choice, Stage, SubPolicy, TrajectoryPoint

LEVELS = (0, 2, 10, 14)  # of 10, on CIFAR
IMAGENET_LEVELS = (7, 14)
SEQUENCE = 2  # operations, one after the other
# How often a training augments at the beginning and the end, as the published search has it.
FIRST, LAST = 0.35, 0.21

WITHOUT_LEVEL = (
    'identity',
    'horizontal_flip',
    'vertical_flip',
    'auto_contrast',
    'equalize',
    'invert',
    'blur',
    'smooth',
)
WITH_LEVEL = (
    *('rotate', 'posterize', 'shear_x', 'shear_y', 'translate_x', 'translate_y'),
    *('solarize', 'saturation', 'contrast', 'brightness', 'sharpness'),
)
# Values at level 10.
ROTATE, SHEAR, TRANSLATE = 30.0, 0.3, 10 / 32  # degrees, slope, share of a side: 10 of CIFAR's 32 pixels


def magnitude(name: str, level: float) -> float:
    """Magnitude of an operation at a level, in the units of the table of operations.

    The search's own code has levels beyond its operations' ranges (fewer than one bit, a threshold below black). They
    are cut off here.

    Args:
        name: of ``WITH_LEVEL``.
        level: of 10, at least 0.
    """
    share = level / 10
    if name == 'posterize':  # 4 - int(4 * share) bits are kept
        return 8 - max(4 - int(4 * share), 1)
    if name == 'solarize':
        return min(share, 1.0)
    scale = {'rotate': ROTATE, 'shear_x': SHEAR, 'shear_y': SHEAR, 'translate_x': TRANSLATE, 'translate_y': TRANSLATE}
    if name in scale:
        return scale[name] * share
    return 0.1 + 1.8 * share - 1  # the factor, less one


def ddas_space(levels: Sequence[float] = LEVELS) -> tuple[Choice, ...]:
    """The operations, those with a magnitude at each level: 52 with the four levels of CIFAR, 30 with ImageNet's two.

    Args:
        levels: of 10, each at least 0. Default: 0, 2, 10, 14.

    Raises:
        ValueError: for no level, or a negative one.
    """
    if not levels or min(levels) < 0:
        raise ValueError(f'levels of DDAS are numbers of at least 0, got {list(levels)}')
    plain = [Choice(name) for name in WITHOUT_LEVEL]
    signed = ('rotate', 'shear_x', 'shear_y', 'translate_x', 'translate_y')
    return (
        *plain,
        *(Choice(name, magnitude(name, level), signed=name in signed) for name in WITH_LEVEL for level in levels),
    )


def uniform_policy(
    levels: Sequence[float] = LEVELS, first: float = FIRST, last: float = LAST, points: int = 20
) -> AugmentPolicy:
    """What a search of DDAS is compared with: all operations alike, and how often from ``first`` to ``last``.

    The published trajectories are almost that: their distributions end at 0.98 to 0.99 of the largest entropy.

    Args:
        levels: see :func:`ddas_space`.
        first, last: probability that an image is augmented, at the beginning and the end of the training. Default:
            0.35 and 0.21.
        points: equal parts of the training. Default: 20.
    """
    choices = ddas_space(levels)
    steps = [first + (last - first) * point / max(points - 1, 1) for point in range(points)]
    weights = (1 / len(choices),) * len(choices)
    return AugmentPolicy(
        (SubPolicy((Stage(choices, repeat=SEQUENCE),)),),
        probability=last,
        trajectory=tuple(TrajectoryPoint(round(step, 6), weights) for step in steps),
        origin={'method': 'uniform control of DDAS, no search'},
    )
