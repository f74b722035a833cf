"""Search loops."""

from .epoch_based_search_loop import EpochBasedSearchLoop
from .iter_based_search_loop import IterBasedSearchLoop

__all__ = ['EpochBasedSearchLoop', 'IterBasedSearchLoop']
