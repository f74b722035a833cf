"""Augmentation policies: operations on image and label, what is drawn of them, and their files. Plain torch."""

from .apply import Canvas, Drawn, apply_drawn
from .augmentation import Augmentation
from .genotype import from_genotype
from .mmpretrain_export import ExportError, to_mmpretrain
from .mmpretrain_form import from_mmpretrain
from .operations import AUGMENT_OPERATIONS, AugmentOperation
from .parts import Choice, Stage, SubPolicy, TrajectoryPoint
from .policy import AugmentPolicy
from .published import auto_augment, rand_augment, trivial_augment
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
    'ExportError',
    'PolicySampler',
    'Stage',
    'SubPolicy',
    'TrajectoryPoint',
    'apply_drawn',
    'auto_augment',
    'from_genotype',
    'from_mmpretrain',
    'rand_augment',
    'to_mmpretrain',
    'trivial_augment',
]
