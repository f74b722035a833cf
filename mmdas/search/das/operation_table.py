"""The table of operations: those of mmdas, and those that a user has registered."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mmdas.ops import affine, flip, photometric

from .operation import Operation, identity


def _warp(
    function: Callable, matrix: Callable, high: float, limit: float, unit: str, effect: str, growth: str = 'linear'
) -> Operation:
    name = function.__name__
    return Operation(name, function, -high, high, unit, matrix=matrix, growth=growth, effect=effect, limit=limit)


def _colour(
    function: Callable, low: float, high: float, limit: float, unit: str, effect: str, **options: Any
) -> Operation:
    return Operation(function.__name__, function, low, high, unit, effect=effect, limit=limit, **options)


# Ranges per step of distance from the reference frame. The first five rows are the paper's space with the authors'
# ranges; the outer frames of eight reach four steps, so `ranges` of the cell narrows them where content matters. The
# limits are those of augmentation policies: beyond them an image is gone, or as with a smaller strength.
BUILT_IN = (
    Operation('identity', identity, 0.0, 0.0, unit='none', effect='leaves the frame as it is'),
    _warp(affine.translate_x, affine.translate_x_matrix, 0.12, 1.0, 'width', 'moves the content right'),
    _warp(affine.translate_y, affine.translate_y_matrix, 0.12, 1.0, 'height', 'moves the content down'),
    _warp(affine.rotate, affine.rotate_matrix, 20.0, 180.0, 'degree', 'turns the content counter-clockwise'),
    _warp(affine.scale, affine.scale_matrix, 0.3, 10.0, 'relative size', 'enlarges the content', growth='power'),
    _warp(
        affine.shear_x, affine.shear_x_matrix, 0.1, 5.0, 'slope', 'moves the lower half left and the upper half right'
    ),
    _warp(affine.shear_y, affine.shear_y_matrix, 0.1, 5.0, 'slope', 'moves the right half up and the left half down'),
    _colour(photometric.brightness, -0.2, 0.2, 10.0, 'relative factor', 'brightens'),
    _colour(
        photometric.contrast, -0.2, 0.2, 10.0, 'relative factor', 'moves pixels away from mean grey', reads_grey=True
    ),
    _colour(photometric.saturation, -0.2, 0.2, 10.0, 'relative factor', 'makes colours stronger', reads_grey=True),
    _colour(photometric.sharpness, -0.2, 0.2, 10.0, 'relative factor', 'sharpens'),
    _colour(photometric.solarize, 0.0, 0.2, 1.0, 'lowering of the threshold', 'inverts the brightest pixels'),
    _colour(photometric.posterize, 0.0, 1.5, 7.0, 'bits removed', 'removes the lowest bits', is_rounded=True),
    _colour(photometric.invert, 0.0, 0.25, 1.0, 'blend', 'blends in the negative'),
    _colour(photometric.auto_contrast, 0.0, 0.25, 1.0, 'blend', 'blends in the frame stretched to the full range'),
    _colour(photometric.equalize, 0.0, 0.25, 1.0, 'blend', 'blends in the frame with a flat histogram'),
    _colour(photometric.noise, 0.0, 0.05, 1.0, 'standard deviation', 'adds Gaussian noise', random=True),
    _colour(photometric.cutout, 0.0, 0.1, 2.0, 'shorter side', 'covers a square with grey, anywhere', random=True),
    # Once a step: every second frame beside the reference frame is mirrored, the others are mirrored back.
    Operation(
        'horizontal_flip',
        flip.horizontal_flips,
        1.0,
        1.0,
        'flips',
        matrix=flip.horizontal_flips_matrix,
        effect='mirrors every second frame left to right',
        is_odd=True,
        is_rounded=True,
    ),
)

_operations = {operation.name: operation for operation in BUILT_IN}
# What is registered now, to read. A list of the names that a release has is `SPACES['large']`.
OPERATIONS: Mapping[str, Operation] = MappingProxyType(_operations)


def get_operation(name: str) -> Operation:
    """Row of the table by its name.

    Raises:
        ValueError: for a name that the table does not have.
    """
    if name not in OPERATIONS:
        raise ValueError(f'unknown operation {name!r}; {known_operations()}')
    return OPERATIONS[name]


def known_operations() -> str:
    """The part of a message that lists the operations, and says where one's own come from."""
    return (
        f'known are {sorted(OPERATIONS)}; for an operation of your own, custom_imports of the config must name the '
        'module that registers it (docs/operations.md)'
    )


def add_operation(operation: Operation) -> None:
    """Put a row into the table.

    Raises:
        ValueError: if another operation has its name.
    """
    known = _operations.setdefault(operation.name, operation)
    if known.source != operation.source:  # the same one comes again where a notebook cell runs again
        raise ValueError(
            f'the name {operation.name!r} is taken by the operation of {known.source}; choose another name for that '
            f'of {operation.source}'
        )
    _operations[operation.name] = operation
