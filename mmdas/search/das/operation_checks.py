"""What an operation has to keep, tried once on small images when it is registered."""

import inspect
import math
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor

from .operation import GROWTHS, Operation
from .operation_weights import with_weights_of_their_own

SIZE = (24, 32)
# Of the two images, in frames from the reference frame. Four are the furthest of eight frames.
DISTANCES = ((0.0, 0.0), (-1.0, 2.0), (1.0, -2.0), (4.0, -4.0))
CLOSE = 1e-4  # a fortieth of a step of eight bits
DEGENERATE = 1e-6  # a determinant


def check_operation(operation: Operation) -> None:
    """Check the row of an operation, and try its function.

    Raises:
        ValueError: naming the operation and what it breaks.
    """
    _check_row(operation)
    (operation,), weights = with_weights_of_their_own([operation])  # a network in the mode that models have it in
    weights.cpu()
    with torch.random.fork_rng(devices=[]), torch.device('cpu'), torch.enable_grad():
        if operation.geometric:
            _check_matrices(operation)
        else:
            _check_images(operation)


def _check_row(operation: Operation) -> None:
    low, high = operation.low, operation.high
    if not isinstance(operation.name, str) or not operation.name.isidentifier():
        raise ValueError(f'the name of an operation must be a word such as "vignette", got {operation.name!r}')
    if not (isinstance(operation.unit, str) and operation.unit):
        _refuse(operation, f'unit must be a text, such as "degree", got {operation.unit!r}')
    if operation.growth not in GROWTHS:
        _refuse(operation, f'growth must be one of {GROWTHS}, got {operation.growth!r}')
    numbers = all(isinstance(bound, (int, float)) and math.isfinite(bound) for bound in (low, high))
    if not numbers or low > high or low == high == 0:
        _refuse(operation, f'low and high must be finite with low <= high and not both 0, got {low!r} and {high!r}')
    if operation.growth == 'power' and low <= -1:
        _refuse(operation, f"low must be more than -1 with growth='power', got {low}")
    if operation.geometric and (operation.random or operation.reads_grey):
        _refuse(operation, 'the matrix of a warp knows no pixels: random and reads_grey are for functions of images')


def _check_matrices(operation: Operation) -> None:
    """The matrices of an affine warp."""
    matrix: Any = operation.matrix
    _check_signature(operation, matrix, 'magnitude, size')
    for distances in DISTANCES:
        for magnitude in _magnitudes(operation, distances):
            said = f'its matrix at magnitudes {_numbers(magnitude)}'
            theta = _call(operation, matrix, magnitude, SIZE)
            _check_tensor(operation, said, theta, (2, 2, 3))
            if theta.dtype != magnitude.dtype:
                _refuse(operation, f'{said} is {theta.dtype}, expected that of the magnitude, {magnitude.dtype}')
            if not any(distances):
                _check_close(operation, f'{said}, no strength, is not the identity', theta, torch.eye(2, 3).double())
            if theta[:, :, :2].det().abs().min() < DEGENERATE:
                _refuse(operation, f'{said} takes the image to a line; narrow the range, or use growth="power"')
            alone = _call(operation, matrix, magnitude[1:], SIZE)
            _check_close(operation, f'{said} depends on the other magnitudes of the batch', theta[1:], alone)


def _check_images(operation: Operation) -> None:
    """A function of images."""
    options = {'generator': None} if operation.random else {}
    _check_signature(operation, operation.function, 'images, magnitude', **options)
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    for distances in DISTANCES:
        for magnitude in _magnitudes(operation, distances):
            said = f'its result at magnitudes {_numbers(magnitude)}'
            result = _apply(operation, images, magnitude.float())
            _check_tensor(operation, said, result, tuple(images.shape))
            if not any(distances):
                _check_close(operation, f'{said}, no strength, is not the image', result, images)
            if result.min() < -CLOSE or result.max() > 1 + CLOSE:
                spread = f'{result.min():.3g} to {result.max():.3g}'
                _refuse(operation, f'{said} is from {spread}, expected colours in [0, 1]; end with .clamp(0, 1)')
            _check_draws(operation, said, result, images, magnitude.float())
    _check_gradient(operation, images)


def _check_draws(operation: Operation, said: str, result: Tensor, images: Tensor, magnitude: Tensor) -> None:
    """Equal draws give equal images, and each image depends on itself alone."""
    again = _apply(operation, images, magnitude)
    if operation.random:
        _check_close(operation, f'{said} does not follow its generator: draw all numbers from it', again, result)
        _call(operation, operation.function, images, magnitude)  # as in training, without generator
        return
    _check_close(operation, f'{said} differs from call to call; say random=True, and take generator', again, result)
    alone = _apply(operation, images[1:], magnitude[1:])
    _check_close(operation, f'{said} depends on the other images of the batch', result[1:], alone)


def _check_gradient(operation: Operation, images: Tensor) -> None:
    images = images.clone().requires_grad_()
    magnitude = operation.magnitude(torch.tensor(operation.high or operation.low), torch.ones(2))
    if not _apply(operation, images, magnitude).requires_grad:
        _refuse(
            operation,
            'its result has no gradient in the images, so that a search would learn nothing of what comes before it; '
            'a function of steps returns images + (changed - images).detach()',
        )


def _apply(operation: Operation, images: Tensor, magnitude: Tensor) -> Tensor:
    """The result of a function that must leave its arguments as they are."""
    options = {'generator': torch.Generator().manual_seed(1)} if operation.random else {}
    given = images.detach().clone(), magnitude.clone()
    passed = images if images.requires_grad else images.clone()
    magnitude = magnitude.clone()
    result = _call(operation, operation.function, passed, magnitude, **options)
    if not (torch.equal(passed.detach(), given[0]) and torch.equal(magnitude, given[1])):
        _refuse(operation, 'it changes its arguments in place; write images * 2 for images *= 2')
    return result


def _call(operation: Operation, function: Callable, *arguments: Any, **options: Any) -> Any:
    try:
        return function(*arguments, **options)
    except Exception as error:  # whatever a user's function raises
        magnitude = next(value for value in arguments if isinstance(value, Tensor) and value.ndim == 1)
        reason = f'{type(error).__name__}: {error}'
        raise ValueError(
            f'operation {operation.name!r} ({operation.source}): it fails at magnitudes {_numbers(magnitude)}: {reason}'
        ) from error


def _check_signature(operation: Operation, function: Callable, arguments: str, **options: Any) -> None:
    try:
        inspect.signature(function).bind(*arguments.split(', '), **options)
    except TypeError as error:
        more = ''.join(f', {name}={value}' for name, value in options.items())
        _refuse(operation, f'it must take ({arguments}{more}), but {error}')
    except ValueError:  # of a function that has no signature, such as some of torch
        return


def _check_tensor(operation: Operation, said: str, value: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        _refuse(operation, f'{said} is {found}, expected a tensor of shape {shape}')
    if not value.is_floating_point() or not value.isfinite().all():
        _refuse(operation, f'{said} holds values that are no finite floating-point numbers')


def _check_close(operation: Operation, message: str, value: Tensor, expected: Tensor) -> None:
    distance = float((value.detach() - expected.detach()).abs().max())
    if not distance <= CLOSE:
        _refuse(operation, f'{message}: they differ by {distance:.3g}')


def _magnitudes(operation: Operation, distances: tuple[float, float]) -> list[Tensor]:
    """Magnitudes of two images at the ends of the range, in double precision."""
    offsets = torch.tensor(distances, dtype=torch.float64)
    ends = dict.fromkeys((operation.low, operation.high))
    return [operation.magnitude(torch.tensor(end, dtype=torch.float64), offsets) for end in ends]


def _numbers(magnitude: Tensor) -> str:
    return ' and '.join(f'{value:.3g}' for value in magnitude.tolist())


def _refuse(operation: Operation, message: str) -> NoReturn:
    raise ValueError(f'operation {operation.name!r} ({operation.source}): {message}')
