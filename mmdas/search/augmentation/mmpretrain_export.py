"""A policy as a transform of MMPretrain pipelines, where one says the same."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from .mmpretrain_form import FACTORS, PLAIN
from .parts import Choice, Stage
from .policy import AugmentPolicy

TOTAL = 10
TYPES = {name: kind for kind, name in (*FACTORS.items(), *PLAIN.items())}
FLIPS = {'horizontal_flip': 'horizontal', 'vertical_flip': 'vertical'}
# Operation -> what MMPretrain does in another way.
OTHERWISE = {
    'shear_x': 'shears of MMPretrain leave the upper left corner where it is, and not the centre',
    'shear_y': 'shears of MMPretrain leave the upper left corner where it is, and not the centre',
    'sharpness': 'sharpness of MMPretrain changes the outermost pixels as well',
}


class ExportError(ValueError):
    """A policy that no transform of the other library says."""


def to_mmpretrain(policy: AugmentPolicy, approximate: bool = False) -> dict[str, Any]:
    """A transform for a pipeline of MMPretrain that does what a policy does.

    Its pictures are BGR bytes, before the data preprocessor; results are rounded to levels. Its labels of pixels do not
    move: the transform is one for classification.

    Args:
        policy: of which each sub-policy has the same weight, and each of its stages a single choice; or with one stage
            whose choices have the same weight.
        approximate: also take operations that MMPretrain has in another way: shears about the corner, sharpness that
            changes the border. Default: False.

    Returns:
        A dict of the type ``AutoAugment`` or ``RandAugment``, or ``RandomApply`` around it.

    Raises:
        ExportError: for a policy that cannot be said so, with the reason.
    """
    if policy.trajectory:
        raise ExportError('the policy changes along the training; export one part of it, policy.at(progress)')
    if isinstance(policy.fill, str):
        raise ExportError(f'the policy fills with {policy.fill!r}; the transforms of MMPretrain with a number')
    transform = _transform(policy, approximate)
    if policy.probability == 1:
        return transform
    return dict(type='RandomApply', transforms=[transform], prob=policy.probability)


def _transform(policy: AugmentPolicy, approximate: bool) -> dict[str, Any]:
    stages = [stage for sub in policy.sub_policies for stage in sub.stages]
    if len({sub.weight for sub in policy.sub_policies}) > 1:
        raise ExportError('the sub-policies have different weights; AutoAugment of MMPretrain draws all alike')
    if all(len(stage.choices) == 1 for stage in stages):
        return dict(
            type='AutoAugment',
            policies=[
                [_step(stage.choices[0], policy, approximate) for stage in sub.stages for _ in range(stage.repeat)]
                for sub in policy.sub_policies
            ],
        )
    if len(stages) > 1:
        raise ExportError('a stage among others draws one of several operations; MMPretrain has no such transform')
    return _random(stages[0], policy, approximate)


def _random(stage: Stage, policy: AugmentPolicy, approximate: bool) -> dict[str, Any]:
    if len({choice.weight for choice in stage.choices}) > 1:
        raise ExportError('the choices have different weights; RandAugment of MMPretrain draws all alike')
    return dict(
        type='RandAugment',
        policies=[_step(choice, policy, approximate) for choice in stage.choices],
        num_policies=stage.repeat,
        magnitude_level=TOTAL,
        magnitude_std='inf',
        total_level=TOTAL,
    )


def _step(choice: Choice, policy: AugmentPolicy, approximate: bool) -> dict[str, Any]:
    name, probability = choice.operation, choice.probability
    if name == 'identity':
        return dict(type='Invert', prob=0.0)  # which does nothing
    if name in FLIPS:
        return dict(type='RandomFlip', prob=float(probability), direction=FLIPS[name])  # MMCV refuses 1
    if name in PLAIN.values():
        return dict(type=TYPES[name], prob=probability)
    if name in OTHERWISE and not approximate:
        raise ExportError(f'{name}: {OTHERWISE[name]}; approximate=True takes it nevertheless')
    low, high = choice.bounds
    if name == 'posterize':
        if low != high:
            raise ExportError('posterize with a magnitude that is drawn: MMPretrain rounds it in another way')
        return dict(type='Posterize', bits=8 - round(low), prob=probability)
    if name == 'solarize':
        fixed = 256 if low == 0 else ceil(255 * (1 - low) - 1e-6)
        return dict(type='Solarize', **_magnitude('thr', fixed, 255 * (1 - low), 255 * (1 - high)), prob=probability)
    if name == 'solarize_add':
        return dict(type='SolarizeAdd', **_magnitude('magnitude', 255.0 * low, 255 * low, 255 * high), prob=probability)
    options: dict[str, Any] = dict(prob=probability, random_negative_prob=0.5 if choice.signed else 0.0)
    if name in FACTORS.values():
        return dict(type=TYPES[name], **_magnitude('magnitude', low, low, high), **options)
    return {**_warp(name, low, high), **options, 'pad_val': _levels(policy), 'interpolation': policy.interpolation}


def _warp(name: str, low: float, high: float) -> Mapping[str, Any]:
    if name == 'rotate':
        return dict(type='Rotate', **_magnitude('angle', -low, -low, -high))
    kind, _, axis = name.partition('_')
    if kind not in ('shear', 'translate'):
        raise ExportError(f'{name}: MMPretrain has no such operation among those of AutoAugment')
    sign = -1 if kind == 'shear' else 1
    direction = 'horizontal' if axis == 'x' else 'vertical'
    magnitude = _magnitude('magnitude', sign * low, sign * low, sign * high)
    return dict(type=kind.capitalize(), direction=direction, **magnitude)


def _magnitude(key: str, fixed: float, low: float, high: float) -> dict[str, Any]:
    """A fixed magnitude, or one that is drawn uniformly."""
    if low == high:
        return {key: fixed}
    return dict(magnitude_range=[low, high], magnitude_level=TOTAL, magnitude_std='inf', total_level=TOTAL)


def _levels(policy: AugmentPolicy) -> list[int]:
    """The fill as three levels, BGR: a rotation would take a single number for the first channel alone."""
    assert not isinstance(policy.fill, str)
    values = list(policy.fill) if isinstance(policy.fill, (list, tuple)) else [policy.fill]
    if len(values) not in (1, 3):
        raise ExportError(f'the policy fills {len(values)} channels; pictures of MMPretrain have three')
    return [round(255 * value) for value in reversed(values * (3 // len(values)))]
