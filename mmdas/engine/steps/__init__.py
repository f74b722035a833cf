"""Steps of a search: what happens on its batches."""

from .adversarial_step import AdversarialStep
from .alternating_step import AlternatingStep
from .ddas_step import DDASStep
from .linear_critic import LinearCritic
from .look_ahead_step import LookAheadStep
from .search_step import SearchStep

__all__ = ['AdversarialStep', 'AlternatingStep', 'DDASStep', 'LinearCritic', 'LookAheadStep', 'SearchStep']
