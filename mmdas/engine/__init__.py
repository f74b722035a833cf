"""The search as MMEngine components: loops, steps, optimisers, selections and hooks."""

from .hooks import KeepPolicyHook, LabelCheckHook, PolicyHook, ResumeCheckHook, SearchProgressHook
from .optimizers import SearchOptimWrapperConstructor
from .runner import EpochBasedSearchLoop, IterBasedSearchLoop
from .selection import ArgmaxSelection, BaseSelection, BlankSelection, PerturbationSelection
from .steps import AdversarialStep, AlternatingStep, LinearCritic, LookAheadStep, SearchStep

__all__ = [
    'AdversarialStep',
    'AlternatingStep',
    'ArgmaxSelection',
    'BaseSelection',
    'BlankSelection',
    'EpochBasedSearchLoop',
    'IterBasedSearchLoop',
    'KeepPolicyHook',
    'LabelCheckHook',
    'LinearCritic',
    'LookAheadStep',
    'PerturbationSelection',
    'PolicyHook',
    'ResumeCheckHook',
    'SearchOptimWrapperConstructor',
    'SearchProgressHook',
    'SearchStep',
]
