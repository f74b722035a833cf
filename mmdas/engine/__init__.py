"""The search as MMEngine components: loops, steps, optimisers, selections and hooks."""

from .hooks import (
    AugmentHook,
    KeepPolicyHook,
    LabelCheckHook,
    PlainStartHook,
    PolicyHook,
    ResumeCheckHook,
    SearchProgressHook,
)
from .optimizers import SearchOptimWrapperConstructor
from .runner import EpochBasedSearchLoop, IterBasedSearchLoop
from .selection import ArgmaxSelection, BaseSelection, BlankSelection, Decision, PerturbationSelection, Score
from .steps import AdversarialStep, AlternatingStep, LinearCritic, LookAheadStep, SearchStep

__all__ = [
    'AdversarialStep',
    'AlternatingStep',
    'ArgmaxSelection',
    'AugmentHook',
    'BaseSelection',
    'BlankSelection',
    'Decision',
    'EpochBasedSearchLoop',
    'IterBasedSearchLoop',
    'KeepPolicyHook',
    'LabelCheckHook',
    'LinearCritic',
    'LookAheadStep',
    'PerturbationSelection',
    'PlainStartHook',
    'PolicyHook',
    'ResumeCheckHook',
    'Score',
    'SearchOptimWrapperConstructor',
    'SearchProgressHook',
    'SearchStep',
]
