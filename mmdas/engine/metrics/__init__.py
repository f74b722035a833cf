"""Metrics of trainings and tests."""

from .confusion import SegConfusionMatrix
from .shape_bias import ShapeBias

__all__ = ['SegConfusionMatrix', 'ShapeBias']
