"""The search spaces: named selections of the table of operations, and their ranges."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf

from .operation import Operation
from .operation_table import BUILT_IN, OPERATIONS, get_operation

__all__ = ['OPERATIONS', 'SPACES', 'build_space', 'draw_index', 'get_operation', 'split_ranges']

SPACES: Mapping[str, tuple[str, ...]] = {
    'paper': ('identity', 'translate_x', 'translate_y', 'rotate', 'scale'),
    'flips': ('identity', 'translate_x', 'translate_y', 'rotate', 'scale', 'horizontal_flip'),
    'large': tuple(operation.name for operation in BUILT_IN if operation.name != 'horizontal_flip'),
}


def build_space(
    space: str | Sequence[str], ranges: Mapping[str, Sequence[float]] | None = None, num_frames: int | None = None
) -> tuple[Operation, ...]:
    """Operations of a space, with their ranges narrowed or widened.

    Args:
        space: ``'paper'``, ``'flips'`` (the same and the flip), ``'large'`` (all that mmdas itself has but the flip) or
            the names of operations, also registered ones.
        ranges: name -> (low, high) in the operation's unit, in place of the table's. Those of operations that the space
            leaves out are checked and not used: a config may inherit them.
        num_frames: T of the clips, where it is known, to check that the outermost frame is reached by strengths that
            are rounded. Default: None.

    Raises:
        ValueError: for an unknown space or operation, a name that occurs twice, or a range that is empty or not finite,
            in which the operation does nothing, or that leaves the limits of the operation.
    """
    if isinstance(space, str):
        if space not in SPACES:
            raise ValueError(f'unknown space {space!r}; name one of {sorted(SPACES)} or list operations')
        space = SPACES[space]
    if not space or len(set(space)) != len(space):
        raise ValueError(f'a space names each of its operations once and at least one, got {list(space)}')
    own = {name: _with_range(get_operation(name), bounds) for name, bounds in (ranges or {}).items()}
    for name in own.keys() & set(space):
        _check_reach(own[name], num_frames or 1)
    return tuple(own.get(name) or get_operation(name) for name in space)


def split_ranges(operations: Iterable[Operation], num_strengths: int) -> tuple[Operation, ...]:
    """The operations of a space, each once for every equal part of its range; those of one strength stay one.

    Args:
        operations: of :func:`build_space`.
        num_strengths: parts of a range, >= 1.

    Raises:
        ValueError: if there is to be no part.
    """
    if num_strengths < 1:
        raise ValueError(f'num_strengths must be at least 1, got {num_strengths}')
    parts = []
    for operation in operations:
        count = 1 if operation.low == operation.high else num_strengths
        step = (operation.high - operation.low) / count
        bounds = [operation.low + step * part for part in range(count)] + [operation.high]
        parts += [replace(operation, low=low, high=high) for low, high in pairwise(bounds)]
    return tuple(parts)


def _with_range(operation: Operation, bounds: Sequence[float]) -> Operation:
    numbers = isinstance(bounds, Sequence) and all(isinstance(bound, (int, float)) for bound in bounds)
    if not numbers or len(bounds) != 2:
        raise ValueError(f'the range of {operation.name} must be (low, high), two numbers, got {bounds!r}')
    low, high = bounds
    reason = _explain_range(operation, low, high)
    if reason:
        raise ValueError(f'the range of {operation.name} {reason}, got {tuple(bounds)}')
    return replace(operation, low=float(low), high=float(high))


def _check_reach(operation: Operation, num_frames: int) -> None:
    """Refuse a range whose magnitudes are rounded to nothing, even in the outermost of T >= 2 frames."""
    reach = max(-operation.low, operation.high) * (num_frames // 2)
    if operation.is_rounded and num_frames > 1 and reach <= 0.5:  # which rounds to even
        raise ValueError(
            f'the range of {operation.name}, {(operation.low, operation.high)}, reaches {reach:g} {operation.unit} in '
            f'the outermost of {num_frames} frames, which is rounded to none; widen it to more than '
            f'{0.5 / (num_frames // 2):g}, or leave the operation out of the space'
        )


def _explain_range(operation: Operation, low: float, high: float) -> str | None:
    """What is wrong with a range of strengths; None for one in which the operation acts as it says."""
    if operation.is_identity:
        return None if low == high == 0 else 'means nothing, for it has no strength; leave it out'
    lowest = ' and low > -1' if operation.growth == 'power' else ''
    if not -inf < low <= high < inf or (lowest and low <= -1):
        return f'must be finite with low <= high{lowest}'
    if low == high == 0:
        return 'holds no strength that acts; leave the operation out of the space'
    if operation.is_odd and not (low == high and low % 2 == 1):
        return f'must be one odd number of {operation.unit}, such as (1, 1), since an even one changes nothing'
    if max(-low, high) > operation.limit:
        return f'must lie within -{operation.limit:g} and {operation.limit:g} ({operation.unit} a frame)'
    return None


def draw_index(source: int, operation: str) -> int:
    """Number that tells the draws of a cell's random operations apart, the same for a cell and its policy.

    It depends on nothing but its arguments: a policy predicts the same after the table has got new rows.
    """
    return zlib.crc32(f'{source} {operation}'.encode())
