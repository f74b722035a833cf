"""The search as MMEngine components: loops, optimisers, selections and hooks."""

from .hooks import (
    KeepPolicyHook,
    LabelCheckHook,
    PlainStartHook,
    PolicyHook,
    ResumeCheckHook,
    SearchProgressHook,
)
from .optimizers import SearchOptimWrapperConstructor
from .runner import EpochBasedSearchLoop, IterBasedSearchLoop
from .selection import ArgmaxSelection, BlankSelection, PerturbationSelection

__all__ = [
    'ArgmaxSelection',
    'BlankSelection',
    'EpochBasedSearchLoop',
    'IterBasedSearchLoop',
    'KeepPolicyHook',
    'LabelCheckHook',
    'PerturbationSelection',
    'PlainStartHook',
    'PolicyHook',
    'ResumeCheckHook',
    'SearchOptimWrapperConstructor',
    'SearchProgressHook',
]
