"""The searches, a folder for each method. Plain torch."""

from .base import Searchable, SearchedPolicy
from .policy_file import PolicyError, load_policy, register_policy

__all__ = ['PolicyError', 'Searchable', 'SearchedPolicy', 'load_policy', 'register_policy']
