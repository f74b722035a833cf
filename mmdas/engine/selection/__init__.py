"""Selections: from the relaxed cell to a policy."""

from .argmax_selection import ArgmaxSelection
from .base_selection import BaseSelection, Decision, Score
from .perturbation_selection import BlankSelection, PerturbationSelection
from .trials import Trials

__all__ = [
    'ArgmaxSelection',
    'BaseSelection',
    'BlankSelection',
    'Decision',
    'PerturbationSelection',
    'Score',
    'Trials',
]
