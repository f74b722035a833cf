"""Metrics of trainings and tests."""

from .confusion import SegConfusionMatrix
from .shape_bias import ShapeBias
from .worst_images import WorstImages

__all__ = ['SegConfusionMatrix', 'ShapeBias', 'WorstImages']
