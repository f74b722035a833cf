"""Hooks of searches and trainings."""

from .augment_hook import AugmentHook
from .keep_policy_hook import KeepPolicyHook
from .label_check_hook import LabelCheckHook
from .plain_start_hook import PlainStartHook
from .policy_hook import PolicyHook
from .random_state_hook import RandomStateHook
from .resume_check_hook import ResumeCheckHook
from .search_progress_hook import SearchProgressHook

__all__ = [
    'AugmentHook',
    'KeepPolicyHook',
    'LabelCheckHook',
    'PlainStartHook',
    'PolicyHook',
    'RandomStateHook',
    'ResumeCheckHook',
    'SearchProgressHook',
]
