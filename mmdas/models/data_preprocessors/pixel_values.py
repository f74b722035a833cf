"""What pixels of a data preprocessor mean: which value is white, and in which order the colours come."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdas.search.augmentation import AugmentOperation
from mmdas.search.das import Operation

AnyOperation = Operation | AugmentOperation

EIGHT_BITS = 255.0
PLACE = 'data_preprocessor'
OVERSHOOT = 0.25  # share of white by which a bicubic resize may leave the range
NAMED = 4  # operations that a message names
NORMALISED = 3.0  # fractions up to here are no pixels of 8 bits or more


class PixelError(ValueError):
    """Pixels whose white, or whose order of colours, is not known or not as the config says."""


def find_max_value(mean: Sequence[float], std: Sequence[float], operations: Iterable[AnyOperation]) -> float:
    """The pixel value that is white, as far as the normalisation tells.

    Args:
        mean, std: of the normalisation, per channel; 0 and 1 where there is none.
        operations: that need to know it, for the message.

    Returns:
        255 for a normalisation of 8-bit pixels or none, 1 for one of pixels in [0, 1].

    Raises:
        PixelError: if it is neither.
    """
    largest = max(*mean, *std)
    if min(mean) < 0 or min(std) <= 0 or largest > EIGHT_BITS:
        raise PixelError(
            f'{PLACE} has mean={list(mean)} and std={list(std)}, which are not those of pixels in 0..255 or 0..1, and '
            f'{names(operations)} must know which value is white; set {PLACE}.max_value, as 65535 for 16 bits'
        )
    unnormalised = not any(mean) and set(std) == {1.0}
    return EIGHT_BITS if unnormalised or largest > 1 else 1.0


def check_grey(channels: int, operations: Iterable[AnyOperation]) -> None:
    """Refuse operations that need to know what grey is for images that are neither RGB nor grey.

    Raises:
        PixelError: naming them.
    """
    grey = [operation for operation in operations if operation.reads_grey]
    if grey and channels not in (1, 3):
        raise PixelError(
            f'images have {channels} channels, but {names(grey)} need RGB or grey ones; leave them out of the space or '
            'the policy'
        )


def check_values(images: Iterable[Tensor], max_value: float, operations: Iterable[AnyOperation]) -> None:
    """Compare pixels with the value that is taken for white.

    Raises:
        PixelError: if they are of another range.
    """
    for image in images:
        low, high = (float(value) for value in torch.aminmax(image.float()))
        beyond = OVERSHOOT * max_value if image.is_floating_point() else 0
        scaled_down = 0 < high <= NORMALISED < max_value and bool((image.float() % 1 != 0).any())
        whole = image.dtype == torch.uint8 and max_value != EIGHT_BITS
        if low < -beyond or high > max_value + beyond or scaled_down or whole:
            raise PixelError(
                f'an image has pixels of {image.dtype} from {low:g} to {high:g}, but {names(operations)} take '
                f'{max_value:g} for white; set {PLACE}.max_value (255 for 8 bits, 65535 for 16, 1 for 0..1)'
            )


def names(operations: Iterable[AnyOperation]) -> str:
    """Names of the operations that read colours, the first of many."""
    found = sorted({operation.name for operation in operations})
    more = len(found) - NAMED
    return ', '.join(found) if more < 2 else f'{", ".join(found[:NAMED])} and {more} more'


def colour_operations(module: Any) -> list[Operation]:
    """The operations of a cell or policy that depend on what white and grey are."""
    return [operation for operation in module.operations if not (operation.geometric or operation.is_identity)]


def converted_order(options: Mapping[str, Any]) -> str | None:
    """The order of the colours after the parent's conversion; None where it does not convert."""
    if options.get('bgr_to_rgb') or options.get('to_rgb'):
        return 'rgb'
    return 'bgr' if options.get('rgb_to_bgr') else None
