"""Models that look at an image several times; each toolbox's is imported when it is asked for."""

from .view_model import ViewModel

__all__ = ['ViewModel']
