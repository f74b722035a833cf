"""Magnitudes of other libraries in the units of the table of operations; see ``docs/augmentation.md``.

Pictures of other libraries are bytes. A threshold between two levels says the same of bytes and of their 255th parts,
whatever the rounding.
"""

from math import ceil

from .operations import AUGMENT_OPERATIONS
from .parts import Choice

GREY = 128 / 255  # what mmpretrain fills with


def lowered_threshold(level: float) -> float:
    """Magnitude of ``solarize`` that inverts the levels of 0 to 255 at or above one; beyond 255 it does nothing."""
    return min(max(1 - (ceil(level) - 0.5) / 255, 0.0), 1.0)


def bits_removed(bits: int, where: str) -> int:
    """Magnitude of ``posterize`` that keeps so many bits.

    Raises:
        ValueError: for none of them: black pictures, or an error, by the library.
    """
    if not 1 <= bits <= 8:
        raise ValueError(
            f'{where} posterizes to {bits} bits, expected 1 to 8: without bits some libraries give black and others an '
            'error; give it a lower magnitude'
        )
    return 8 - bits


def choice(operation: str, magnitude: float = 0.0, **options) -> Choice:
    """A choice of an operation, with a magnitude where the operation has one."""
    if not AUGMENT_OPERATIONS[operation].has_magnitude:
        return Choice(operation, **{**options, 'signed': False})
    return Choice(operation, float(magnitude), **options)


def choice_between(operation: str, low: float, high: float, **options) -> Choice:
    """A choice with a magnitude drawn between two numbers, whichever is the smaller."""
    low, high = sorted((float(low), float(high)))
    return Choice(operation, low if low == high else (low, high), **options)
