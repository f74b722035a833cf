"""Search loops."""

from .search_loop import EpochBasedSearchLoop, IterBasedSearchLoop

__all__ = ['EpochBasedSearchLoop', 'IterBasedSearchLoop']
