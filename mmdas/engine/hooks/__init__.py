"""Hooks of searches and trainings."""

from .label_check_hook import LabelCheckHook
from .policy_hook import PolicyHook
from .random_state_hook import RandomStateHook
from .search_progress_hook import SearchProgressHook

__all__ = ['LabelCheckHook', 'PolicyHook', 'RandomStateHook', 'SearchProgressHook']
