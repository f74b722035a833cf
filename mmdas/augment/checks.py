"""Checks of the numbers that augments are given, as from a config or a command line."""

from collections.abc import Callable
from math import isfinite
from typing import Any


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def check_share(value: Any, name: str) -> None:
    """Raise a ValueError unless a value is a number in [0, 1].

    Args:
        value: of the option.
        name: of the option and its owner, for the message.
    """
    if not is_number(value) or not 0 <= value <= 1:
        raise ValueError(f'{name} must be in [0, 1], got {value!r}')


def check_positive(value: Any, name: str) -> None:
    """Raise a ValueError unless a value is a finite number above 0; see :func:`check_share`."""
    if not is_number(value) or not value > 0:
        raise ValueError(f'{name} must be above 0, got {value!r}')


def are(values: Any, good: Callable[[Any], bool]) -> bool:
    """Whether a value is a list of at least one thing, each of them good."""
    return isinstance(values, (list, tuple)) and bool(values) and all(map(good, values))
