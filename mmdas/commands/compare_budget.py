"""What a comparison may take: wall time, or the length of all its trainings, which no busy machine changes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .train import seconds_of

SECONDS = 's'
SEARCH_ITERATION = 3  # iterations of a plain training that one of a search counts as: it has two or more passes


@dataclass(frozen=True)
class Budget:
    """What a comparison may take.

    Args:
        amount: seconds, iterations or epochs.
        unit: ``'s'``, ``'iters'`` or ``'epochs'``.
    """

    amount: float
    unit: str = SECONDS

    @property
    def is_length(self) -> bool:
        """Whether it counts iterations or epochs."""
        return self.unit != SECONDS


def read_budget(text: str) -> Budget:
    """A budget such as ``2h``, ``20000iters`` or ``30epochs``.

    Raises:
        ValueError: for another text, or nothing at all.
    """
    match = re.fullmatch(r'(\d+)\s*(iter|epoch)s?', text.strip().lower())
    if match is None:
        try:
            return Budget(seconds_of(text))
        except ValueError as error:
            raise ValueError(f'{error}, or a length such as 20000iters or 30epochs') from error
    if not int(match[1]):
        raise ValueError(f'--budget {text}: give 1 or more')
    return Budget(int(match[1]), f'{match[2]}s')


def check_unit(budget: Budget, unit: str) -> None:
    """Refuse a budget that counts what the config does not.

    Args:
        budget: to check.
        unit: of the config, ``'iters'`` or ``'epochs'``.

    Raises:
        ValueError: naming both.
    """
    if budget.is_length and budget.unit != unit:
        raise ValueError(
            f'--budget {budget.amount:g}{budget.unit}: the training of this config counts {unit}; give it in {unit}, '
            'or as a time such as 2h'
        )
