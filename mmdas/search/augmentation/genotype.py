"""Genotypes of Fast AutoAugment (Lim et al., NeurIPS 2019) and DADA (Li et al., ECCV 2020), which share their text.

A genotype lists sub-policies, each a list of (name, probability, level) with a level in [0, 1]. Their code applies
Pillow's functions: nearest pixels, black in what is uncovered, the sign of every warp drawn anew. Differences: shears
leave the centre where it is, Pillow's the upper left corner (the pictures are besides moved by the slope times half a
side); the hole of Cutout is grey here and (125, 123, 114) there.
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any

from mmdas.search.policy_file import shown

from .foreign_units import bits_removed, choice, lowered_threshold
from .parts import Choice, Stage, SubPolicy
from .policy import AugmentPolicy
from .published import NAMES

SIGNED = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate')
# Level 0 and level 1 of every operation with a level, in its own unit.
RANGES = {
    'ShearX': (-0.3, 0.3),
    'ShearY': (-0.3, 0.3),
    'TranslateX': (-0.45, 0.45),
    'TranslateY': (-0.45, 0.45),
    'Rotate': (-30.0, 30.0),
    'Solarize': (0.0, 256.0),
    'Posterize': (4.0, 8.0),
    'Contrast': (0.1, 1.9),
    'Color': (0.1, 1.9),
    'Brightness': (0.1, 1.9),
    'Sharpness': (0.1, 1.9),
    'Cutout': (0.0, 0.2),
}
# From that unit to ours.
UNITS: dict[str, Callable[[float], float]] = {
    'Solarize': lowered_threshold,
    'Posterize': lambda bits: bits_removed(int(bits), 'the genotype'),
    **dict.fromkeys(('Contrast', 'Color', 'Brightness', 'Sharpness'), lambda factor: factor - 1),
}
WITHOUT_LEVEL = ('AutoContrast', 'Invert', 'Equalize', 'Flip')
OURS = {**NAMES, 'Cutout': 'cutout', 'Flip': 'horizontal_flip'}


def from_genotype(text: str, name: str | None = None) -> AugmentPolicy:
    """A policy from the text of a genotype.

    Args:
        text: a list such as ``[[('ShearX', 0.5, 0.46), ('Invert', 0.4, 0.5)], ...]``, or Python assignments of such
            lists, as the file ``genotype.py`` of DADA has them. Nothing in it is executed.
        name: of the assignment, where there are several.

    Raises:
        ValueError: for another text, naming the place.
    """
    genotype = _read(text, name)
    if not isinstance(genotype, (list, tuple)) or not genotype:
        raise ValueError(f'a genotype is a list of sub-policies, got {shown(genotype)[:80]}')
    subs = tuple(_sub_policy(steps, f'genotype[{place}]') for place, steps in enumerate(genotype))
    origin = {'method': 'genotype' if name is None else f'genotype {name}'}
    return AugmentPolicy(subs, fill=0.0, interpolation='nearest', origin=origin)


def _read(text: str, name: str | None) -> Any:
    try:
        body = ast.parse(text.strip()).body
        lists: dict[str, Any] = {}
        for statement in body:
            if isinstance(statement, ast.Assign):
                value = ast.literal_eval(statement.value)
                lists |= {target.id: value for target in statement.targets if isinstance(target, ast.Name)}
            elif isinstance(statement, ast.Expr) and name is None and len(body) == 1:
                return ast.literal_eval(statement.value)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f'no genotype, a list of lists of (name, probability, level): {error}') from None
    if name is not None and name in lists:
        return lists[name]
    if name is None and len({id(value) for value in lists.values()}) == 1:
        return next(iter(lists.values()))
    raise ValueError(f'the text holds the genotypes {sorted(lists, key=len)}; name one of them, got {name!r}')


def _sub_policy(steps: Any, where: str) -> SubPolicy:
    if not isinstance(steps, (list, tuple)) or not steps:
        raise ValueError(f'{where} is {shown(steps)[:80]}, expected a list of (name, probability, level)')
    return SubPolicy(tuple(Stage((_choice(step, f'{where}[{place}]'),)) for place, step in enumerate(steps)))


def _choice(step: Sequence, where: str) -> Choice:
    if not isinstance(step, (list, tuple)) or len(step) != 3:
        raise ValueError(f'{where} is {shown(step)[:80]}, expected (name, probability, level)')
    name, probability, level = step
    if not isinstance(name, str) or name not in (*RANGES, *WITHOUT_LEVEL):
        raise ValueError(f'{where} names {shown(name)[:80]}, expected one of {sorted([*RANGES, *WITHOUT_LEVEL])}')
    for value in (probability, level):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise ValueError(f'{where} is {shown(step)[:80]}, expected a name and two numbers')
    if name in WITHOUT_LEVEL:
        return choice(OURS[name], probability=float(min(max(probability, 0), 1)))
    low, high = RANGES[name]
    value = min(max(level, 0.0), 1.0) * (high - low) + low  # cut off, as their code does
    signed = name in SIGNED
    magnitude = UNITS.get(name, float)(abs(value) if signed else value)
    return choice(OURS[name], magnitude, probability=float(min(max(probability, 0), 1)), signed=signed)
