"""Policies from and to transforms of MMPretrain configs: ``AutoAugment``, ``RandAugment`` and what they list.

Configs are plain data; nothing of MMPretrain is imported. Its pictures are BGR bytes, its angles are clockwise, and its
shears move lower rows right and right columns down. Three differences stay:

* Shears leave the centre where it is, MMPretrain's the upper left corner. Its pictures are besides moved, by the slope
  times half a side.
* Sharpness of MMPretrain changes the outermost pixels as well.
* ``Rotate`` of MMPretrain with a single number as ``pad_val`` fills with it in the first channel and 0 in the others;
  here all channels get it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import NormalDist
from typing import Any

from mmdas.search.policy_file import shown

from .foreign_units import bits_removed, choice, choice_between, lowered_threshold
from .parts import Choice, Stage, SubPolicy
from .policy import AugmentPolicy

PAD = 128
NORMAL_STEPS = 9  # equally probable ones that stand for a normal distribution of levels
FACTORS = {
    'ColorTransform': 'saturation',
    'Contrast': 'contrast',
    'Brightness': 'brightness',
    'Sharpness': 'sharpness',
}
FLIPS = {'horizontal': 'horizontal_flip', 'vertical': 'vertical_flip'}
PLAIN = {'AutoContrast': 'auto_contrast', 'Equalize': 'equalize', 'Invert': 'invert'}
# Type -> the argument that holds its magnitude.
MAGNITUDE_KEYS = {
    'Rotate': 'angle',
    'Solarize': 'thr',
    'Posterize': 'bits',
    'Cutout': 'shape',
    **dict.fromkeys(('Shear', 'Translate', 'SolarizeAdd', *FACTORS), 'magnitude'),
}
WARPS = {'Rotate': 'nearest', 'Shear': 'bicubic', 'Translate': 'nearest'}  # and their interpolation
SIGNED = (*WARPS, *FACTORS)
KNOWN = (*PLAIN, *MAGNITUDE_KEYS, 'RandomFlip')
LEVELS = {'magnitude_level': 10, 'magnitude_std': 0.0, 'total_level': 10}  # defaults of its transforms


@dataclass
class _Reader:
    """What the transforms of a policy have to agree on, and what they need to know.

    Args:
        size: (H, W) in pixels for a hole that is told in pixels, or None.
    """

    size: Sequence[int] | None

    def __post_init__(self) -> None:
        self.pads: set[tuple[float, ...]] = set()
        self.interpolations: set[str] = set()
        self.notes: set[str] = set()

    def choices(self, transform: Any, where: str) -> list[Choice]:
        """The choices that do what a transform does, their weights adding up to 1."""
        if not isinstance(transform, Mapping):
            raise ValueError(f'{where} is {shown(transform)[:80]}, expected a dict of a transform')
        kind = str(transform.get('type')).removeprefix('mmpretrain.')
        if kind not in KNOWN:
            raise ValueError(f'{where} is of the type {kind}, which has no counterpart here; known are {sorted(KNOWN)}')
        probability = _number(transform.get('prob', 0.5), f'{where}.prob')  # its transforms' default
        if kind in PLAIN:
            return [choice(PLAIN[kind], probability=probability)]
        if kind == 'RandomFlip':
            direction = transform.get('direction', 'horizontal')
            if not isinstance(direction, str) or direction not in FLIPS:
                raise ValueError(f'{where}.direction is {shown(direction)[:80]}, expected one of {list(FLIPS)}')
            return [choice(FLIPS[direction], probability=probability)]
        self._note_warp(kind, transform, where)
        found = []
        for low, high, weight in self._ranges(transform, MAGNITUDE_KEYS[kind], where):
            found += self._in_our_units(kind, transform, low, high, weight, where)
        key = 'random_negative_prob'
        negative = _number(transform.get(key, 0.5), f'{where}.{key}') if kind in SIGNED else 0.0
        return [one for entry in found for one in _signs(entry, negative, probability)]

    def _note_warp(self, kind: str, transform: Mapping, where: str) -> None:
        pad = transform.get('pad_val', PAD)
        if kind in WARPS:
            if any(not 0 <= _number(one, f'{where}.pad_val') <= 255 for one in _as_list(pad)):
                raise ValueError(f'{where}.pad_val is {pad}, expected levels of 0 to 255')
            self.pads.add(tuple(_as_list(pad)))
            self.interpolations.add(transform.get('interpolation', WARPS[kind]))
        if kind == 'Rotate' and (transform.get('center') is not None or transform.get('scale', 1.0) != 1):
            raise ValueError(f'{where} rotates about another centre, or scales; here rotations are about the middle')

    def _ranges(self, transform: Mapping, key: str, where: str) -> list[tuple[float, float, float]]:
        """(one end, other end, weight) of the magnitudes, in MMPretrain's units."""
        bounds = transform.get('magnitude_range')
        if (bounds is None) == (transform.get(key) is None):
            raise ValueError(f'{where} needs either {key} or magnitude_range, with a magnitude_level')
        if bounds is None:
            value = _number(transform[key], f'{where}.{key}')
            return [(value, value, 1.0)]
        if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
            raise ValueError(f'{where}.magnitude_range is {shown(bounds)[:80]}, expected two numbers')
        first, last = (_number(bound, f'{where}.magnitude_range') for bound in bounds)
        spread = transform.get('magnitude_std', LEVELS['magnitude_std'])
        level, total = (
            _number(transform.get(name, LEVELS[name]), f'{where}.{name}') for name in ('magnitude_level', 'total_level')
        )
        if total <= 0:
            raise ValueError(f'{where}.total_level is {total}, expected a positive number')

        def value_at(level: float) -> float:
            return level / total * (last - first) + first

        if spread == 'inf':
            return [(value_at(0), value_at(level), 1.0)]
        spread = _number(spread, f'{where}.magnitude_std')
        if spread <= 0:
            return [(value_at(level), value_at(level), 1.0)]
        self.notes.add(f'levels of a normal distribution of deviation {spread} as {NORMAL_STEPS} equally probable ones')
        steps = [NormalDist(level, spread).inv_cdf((step + 0.5) / NORMAL_STEPS) for step in range(NORMAL_STEPS)]
        values = [value_at(min(max(step, 0), total)) for step in steps]
        return [(value, value, 1 / NORMAL_STEPS) for value in values]

    def _in_our_units(
        self, kind: str, transform: Mapping, low: float, high: float, weight: float, where: str
    ) -> list[Choice]:
        if kind == 'Posterize':
            return [
                choice('posterize', bits_removed(bits, where), weight=weight * share)
                for bits, share in _bits(low, high).items()
            ]
        if kind == 'SolarizeAdd' and transform.get('thr', 128) != 128:
            raise ValueError(f'{where}.thr is {transform["thr"]}; here what is below 128 is brightened')
        operation, ends = self._operation(kind, transform, (low, high), where)
        return [choice_between(operation, *ends, weight=weight)]

    def _operation(
        self, kind: str, transform: Mapping, ends: tuple[float, float], where: str
    ) -> tuple[str, list[float]]:
        axis = 'y' if transform.get('direction', 'horizontal') == 'vertical' else 'x'
        if kind == 'Rotate':
            return 'rotate', [-end for end in ends]
        if kind == 'Shear':
            return f'shear_{axis}', [-end for end in ends]
        if kind == 'Translate':
            return f'translate_{axis}', list(ends)
        if kind == 'Solarize':
            return 'solarize', [lowered_threshold(end) for end in ends]
        if kind == 'SolarizeAdd':
            return 'solarize_add', [end / 255 for end in ends]
        if kind == 'Cutout':
            return 'cutout', [int(end) / self._shorter_side(transform, where) for end in ends]
        return FACTORS[kind], list(ends)

    def _shorter_side(self, transform: Mapping, where: str) -> int:
        pad = transform.get('pad_val', PAD)
        if any(abs(_number(value, f'{where}.pad_val') - 127.5) > 1 for value in _as_list(pad)):
            raise ValueError(f'{where}.pad_val is {pad}; the holes of cutout are grey here')
        if self.size is None:
            raise ValueError(f'{where} cuts holes of so many pixels; say the size of the images')
        return min(self.size)


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise ValueError(f'{where} is {shown(value)[:80]}, expected a number')
    return value


def _signs(entry: Choice, negative: float, probability: float) -> list[Choice]:
    """A choice with the sign that is turned with some probability."""
    low, high = entry.bounds
    options = dict(probability=probability)
    if negative == 0.5:
        low, high = (-high, -low) if high <= 0 else (low, high)
        return [choice_between(entry.operation, low, high, weight=entry.weight, signed=True, **options)]
    turned = [(low, high, 1 - negative), (-high, -low, negative)]
    return [
        choice_between(entry.operation, first, last, weight=entry.weight * share, **options)
        for first, last, share in turned
        if share > 0
    ]


def _bits(low: float, high: float) -> dict[int, float]:
    """Bits that are kept -> how often, where a number between two is drawn and rounded up."""
    low, high = sorted((low, high))
    if low == high:
        return {ceil(low): 1.0}
    shares = {bits: min(bits, high) - max(bits - 1, low) for bits in range(ceil(low), ceil(high) + 1)}
    return {bits: share / (high - low) for bits, share in shares.items() if share > 0}


def from_mmpretrain(
    transform: Mapping, size: Sequence[int] | None = None, presets: Mapping[str, list] | None = None
) -> AugmentPolicy:
    """A policy from a transform of a pipeline.

    Args:
        transform: a dict of the type ``AutoAugment`` or ``RandAugment``, or ``RandomApply`` of one of them. Where
            MMPretrain says ``prob=0.5`` by default, also within RandAugment, so does the policy.
        size: (H, W) of the images in pixels, needed where ``Cutout`` occurs.
        presets: name -> list of transforms, for ``policies`` that are a name. Default: none.

    Returns:
        The policy. Levels of a normal distribution (``magnitude_std``) become nine equally probable ones. Images are
        sampled with nearest pixels where all warps say so, else bilinearly. The origin says so.

    Raises:
        ValueError: for what has no counterpart, naming the place and the reason.
    """
    if not isinstance(transform, Mapping):
        raise ValueError(f'expected a dict of a transform, got {shown(transform)[:80]}')
    kind = str(transform.get('type')).removeprefix('mmpretrain.')
    if kind == 'RandomApply':
        return _applied(transform, size, presets)
    if kind not in ('AutoAugment', 'RandAugment'):
        raise ValueError(f'type is {kind}, expected AutoAugment or RandAugment')
    policies = transform.get('policies')
    if isinstance(policies, str):
        known = presets or {}
        if policies not in known:
            raise ValueError(f'policies of {kind} is {policies!r}, known are {sorted(known)}')
        policies = known[policies]
    if not isinstance(policies, (list, tuple)) or not policies:
        raise ValueError(f'policies of {kind} is {shown(policies)[:80]}, expected a list')
    reader = _Reader(size)
    subs = _sub_policies(policies, reader) if kind == 'AutoAugment' else _random(transform, policies, reader)
    if len(reader.pads) > 1:
        raise ValueError(f'the transforms of {kind} fill with {sorted(reader.pads)}; a policy has one fill')
    pad = next(iter(reader.pads), (PAD,))
    fill = pad[0] / 255 if len(set(pad)) == 1 else tuple(value / 255 for value in reversed(pad))
    origin: dict[str, Any] = {'method': f'{kind} of MMPretrain'}
    if reader.interpolations:
        origin['interpolations'] = sorted(reader.interpolations)
    if reader.notes:
        origin['notes'] = sorted(reader.notes)
    interpolation = 'nearest' if reader.interpolations == {'nearest'} else 'bilinear'
    return AugmentPolicy(subs, fill=fill, interpolation=interpolation, origin=origin)


def _applied(transform: Mapping, size: Sequence[int] | None, presets: Mapping[str, list] | None) -> AugmentPolicy:
    """Of RandomApply around the transform of a policy."""
    inner = _as_list(transform.get('transforms'))
    if len(inner) != 1:
        raise ValueError(f'RandomApply has {len(inner)} transforms, expected one: AutoAugment or RandAugment')
    policy = from_mmpretrain(inner[0], size, presets)
    probability = _number(transform.get('prob', 0.5), 'RandomApply.prob')
    return replace(policy, probability=policy.probability * probability)


def _sub_policies(policies: Sequence, reader: _Reader) -> tuple[SubPolicy, ...]:
    """Of AutoAugment, whose ``hparams`` do not reach its transforms."""
    subs = []
    for number, steps in enumerate(policies):
        where = f'policies[{number}]'
        if not isinstance(steps, (list, tuple)):
            raise ValueError(f'{where} is {shown(steps)[:80]}, expected a list of transforms')
        places = enumerate(steps)
        subs.append(SubPolicy(tuple(Stage(tuple(reader.choices(step, f'{where}[{n}]'))) for n, step in places)))
    return tuple(subs)


def _random(transform: Mapping, policies: Sequence, reader: _Reader) -> tuple[SubPolicy, ...]:
    """Of RandAugment: as many draws of all transforms, with replacement."""
    hparams = transform.get('hparams', {'pad_val': PAD})
    levels = {name: transform[name] for name in LEVELS if name in transform}
    choices: list[Choice] = []
    for place, step in enumerate(policies):
        if isinstance(step, Mapping):
            kind = str(step.get('type')).removeprefix('mmpretrain.')
            takes = {'pad_val', 'interpolation'} if kind in WARPS else {'pad_val'} if kind == 'Cutout' else set()
            step = {**{name: value for name, value in hparams.items() if name in takes}, **step}
            step |= levels if 'magnitude_range' in step else {}
        choices += reader.choices(step, f'policies[{place}]')
    return (SubPolicy((Stage(tuple(choices), int(transform.get('num_policies', 0))),)),)
