"""Metrics of trainings and tests."""

from .shape_bias import ShapeBias

__all__ = ['ShapeBias']
