"""The search spaces: the table of operations and the named selections of its rows."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from mmdas.ops import affine, photometric

from .operation import Operation, identity

# Ranges per step of distance from the reference frame. The first five rows are the paper's space with the authors'
# ranges; the outer frames of eight reach four steps, so `ranges` of the cell narrows them where content matters.
_TABLE = (
    Operation('identity', identity, 0.0, 0.0, unit='none'),
    Operation('translate_x', affine.translate_x, -0.12, 0.12, unit='width', matrix=affine.translate_x_matrix),
    Operation('translate_y', affine.translate_y, -0.12, 0.12, unit='height', matrix=affine.translate_y_matrix),
    Operation('rotate', affine.rotate, -20.0, 20.0, unit='degree', matrix=affine.rotate_matrix),
    Operation('scale', affine.scale, -0.3, 0.3, unit='relative size', matrix=affine.scale_matrix, growth='power'),
    Operation('shear_x', affine.shear_x, -0.1, 0.1, unit='slope', matrix=affine.shear_x_matrix),
    Operation('shear_y', affine.shear_y, -0.1, 0.1, unit='slope', matrix=affine.shear_y_matrix),
    Operation('brightness', photometric.brightness, -0.2, 0.2, unit='relative factor'),
    Operation('contrast', photometric.contrast, -0.2, 0.2, unit='relative factor', reads_grey=True),
    Operation('saturation', photometric.saturation, -0.2, 0.2, unit='relative factor', reads_grey=True),
    Operation('sharpness', photometric.sharpness, -0.2, 0.2, unit='relative factor'),
    Operation('solarize', photometric.solarize, 0.0, 0.2, unit='lowering of the threshold'),
    Operation('posterize', photometric.posterize, 0.0, 1.5, unit='bits removed'),
    Operation('invert', photometric.invert, 0.0, 0.25, unit='blend'),
    Operation('auto_contrast', photometric.auto_contrast, 0.0, 0.25, unit='blend'),
    Operation('equalize', photometric.equalize, 0.0, 0.25, unit='blend'),
    Operation('noise', photometric.noise, 0.0, 0.05, unit='standard deviation', random=True),
    Operation('cutout', photometric.cutout, 0.0, 0.1, unit='shorter side', random=True),
)

OPERATIONS: Mapping[str, Operation] = {operation.name: operation for operation in _TABLE}
SPACES: Mapping[str, tuple[str, ...]] = {
    'paper': ('identity', 'translate_x', 'translate_y', 'rotate', 'scale'),
    'large': tuple(OPERATIONS),
}


def get_operation(name: str) -> Operation:
    """Row of the table by its name.

    Raises:
        ValueError: for a name that the table does not have.
    """
    if name not in OPERATIONS:
        raise ValueError(f'unknown operation {name!r}; known are {sorted(OPERATIONS)}')
    return OPERATIONS[name]


def build_space(
    space: str | Sequence[str], ranges: Mapping[str, Sequence[float]] | None = None
) -> tuple[Operation, ...]:
    """Operations of a space, with their ranges narrowed or widened.

    Args:
        space: ``'paper'``, ``'large'`` or the names of operations.
        ranges: name -> (low, high) in the operation's unit, in place of the table's. Those of operations that the space
            leaves out are checked and not used: a config may inherit them.

    Raises:
        ValueError: for an unknown space or operation, a name that occurs twice, or a range that is empty or not finite.
    """
    if isinstance(space, str):
        if space not in SPACES:
            raise ValueError(f'unknown space {space!r}; name one of {sorted(SPACES)} or list operations')
        space = SPACES[space]
    if not space or len(set(space)) != len(space):
        raise ValueError(f'a space names each of its operations once and at least one, got {list(space)}')
    own = {name: _with_range(get_operation(name), bounds) for name, bounds in (ranges or {}).items()}
    return tuple(own.get(name) or get_operation(name) for name in space)


def split_ranges(operations: Iterable[Operation], num_strengths: int) -> tuple[Operation, ...]:
    """The operations of a space, each once for every equal part of its range; the identity stays one.

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
        count = 1 if operation.is_identity else num_strengths
        step = (operation.high - operation.low) / count
        bounds = [operation.low + step * part for part in range(count)] + [operation.high]
        parts += [replace(operation, low=low, high=high) for low, high in pairwise(bounds)]
    return tuple(parts)


def _with_range(operation: Operation, bounds: Sequence[float]) -> Operation:
    if operation.is_identity:
        return operation
    if len(bounds) != 2:
        raise ValueError(f'the range of {operation.name} must be (low, high), got {tuple(bounds)}')
    low, high = bounds
    if not -float('inf') < low <= high < float('inf') or (operation.growth == 'power' and low <= -1):
        raise ValueError(
            f'the range of {operation.name} must be finite with low <= high'
            f'{" and low > -1" if operation.growth == "power" else ""}, got {tuple(bounds)}'
        )
    return replace(operation, low=float(low), high=float(high))


def draw_index(source: int, operation: str) -> int:
    """Number that tells the draws of a cell's random operations apart, the same for a cell and its policy.

    It depends on nothing but its arguments: a policy predicts the same after the table has got new rows.
    """
    return zlib.crc32(f'{source} {operation}'.encode())
