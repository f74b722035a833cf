"""Faster AutoAugment (Hataya et al., ECCV 2020). Plain torch."""

from .search import FasterAASearch
from .space import FASTER_AA_SPACE

__all__ = ['FASTER_AA_SPACE', 'FasterAASearch']
