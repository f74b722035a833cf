"""Classifiers that make the clip within themselves."""

from .clip_classifier import DASImageClassifier

__all__ = ['DASImageClassifier']
