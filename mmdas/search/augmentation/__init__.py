"""Augmentation policies: operations on image and label, what is drawn of them, and their files. Plain torch."""

from .apply import Canvas, Drawn, apply_drawn
from .augmentation import Augmentation
from .operations import AUGMENT_OPERATIONS, AugmentOperation
from .parts import Choice, Stage, SubPolicy, TrajectoryPoint
from .policy import AugmentPolicy
from .sampler import PolicySampler
from .searchable import AugmentSearch

__all__ = [
    'AUGMENT_OPERATIONS',
    'AugmentOperation',
    'AugmentPolicy',
    'AugmentSearch',
    'Augmentation',
    'Canvas',
    'Choice',
    'Drawn',
    'PolicySampler',
    'Stage',
    'SubPolicy',
    'TrajectoryPoint',
    'apply_drawn',
]
