"""Loops of searches and trainings."""

from .epoch_based_search_loop import EpochBasedSearchLoop
from .iter_based_search_loop import IterBasedSearchLoop
from .resumable_loops import ResumableEpochBasedTrainLoop, ResumableIterBasedTrainLoop

__all__ = [
    'EpochBasedSearchLoop',
    'IterBasedSearchLoop',
    'ResumableEpochBasedTrainLoop',
    'ResumableIterBasedTrainLoop',
]
