"""Operations of one's own."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn

from mmdas.ops.affine import warp_affine

from .operation import KINDS, Operation, Size
from .operation_checks import check_operation
from .operation_table import add_operation

Function = TypeVar('Function', bound=Callable[..., Tensor])


def register_operation(
    name: str,
    *,
    low: float,
    high: float,
    unit: str,
    kind: str = 'colour',
    effect: str = '',
    growth: str = 'linear',
    random: bool = False,
    reads_grey: bool = False,
) -> Callable[[Function], Function]:
    """Decorate a function that is to be an operation; configs and policies then know it by its name.

    What the kind is decides what the function takes and gives:

    * ``'colour'``: pixels stay where they are. ``function(images, magnitude) -> images``, see below.
    * ``'warp'``: an affine warp. The function is that of its matrix, ``matrix(magnitude (N,), (H, W)) -> (N, 2, 3)``,
      see :func:`mmdas.ops.affine.warp_affine`: it maps output to input coordinates, which run from -1 to 1. Everything
      that knows warps takes it: ``padding``, sparse operators, composed policies and aligned pooling.
    * ``'deformation'``: pixels move in another way. As ``'colour'``; predictions cannot be aligned with it.

    Images are (N, C, H, W) colours in [0, 1], and magnitude is (N,), one number for each image. It is strength times
    distance from the reference frame, so that it has both signs, and leaves the range. Magnitude 0 is the identity. The
    function treats each image alone, changes nothing in place and passes the gradient on to the images.

    A function of images may be a network, an ``nn.Module``: ``register_operation('sketch', ...)(Sketch())``. Each cell
    and each clip of a policy has a copy of it, in evaluation mode and with fixed weights. The copy moves with the model
    and is saved in its checkpoint as ``operation_weights.of_sketch``.

    The function is tried on small images here, so that an error shows before a search starts.

    Args:
        name: the word of configs and policies.
        low, high: range of the strength per step of distance, in ``unit``.
        unit: what the strength counts. ``'width'``, ``'height'`` and ``'shorter side'`` are shares of that side of the
            reference size.
        kind: see above.
        effect: what a positive strength does, in words.
        growth: of the magnitude with the distance d: ``'linear'``, strength * d, or ``'power'``, (1 + strength)^d - 1.
        random: the function draws random numbers and takes ``generator=None`` for them.
        reads_grey: the function needs RGB or grey images, and is refused for others.

    Returns:
        The decorator, which returns the function as it is.

    Raises:
        ValueError: by the decorator, for a name that is taken, an option outside what is listed or a function that does
            not keep what is said above.
    """
    if kind not in KINDS:
        raise ValueError(f'the kind of operation {name!r} must be one of {KINDS}, got {kind!r}')
    options: dict[str, Any] = {'growth': growth, 'random': random, 'reads_grey': reads_grey, 'effect': effect}

    def register(function: Function) -> Function:
        if kind == 'warp' and isinstance(function, nn.Module):
            raise ValueError(
                f"operation {name!r}: a network ({type(function).__name__}) cannot give the matrix of kind='warp', "
                "which models would neither move nor save; register it as kind='deformation' that warps images itself"
            )
        if kind == 'warp':
            row = Operation(name, partial(_warp_by, function), low, high, unit, matrix=function, **options)
        else:
            row = Operation(name, function, low, high, unit, deforms=kind == 'deformation', **options)
        check_operation(row)
        add_operation(replace(row, low=float(low), high=float(high)))
        return function

    return register


def _warp_by(
    matrix: Callable[[Tensor, Size], Tensor], images: Tensor, magnitude: Tensor, padding: str = 'zeros'
) -> Tensor:
    """The operation of a matrix."""
    return warp_affine(images, matrix(magnitude, images.shape[-2:]), padding)
