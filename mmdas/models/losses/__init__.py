"""Losses of the toolboxes' heads. What extends a toolbox is imported when it is asked for, see ``mmdas.models``."""

from .smoothing import smooth_cross_entropy

__all__ = ['smooth_cross_entropy']
