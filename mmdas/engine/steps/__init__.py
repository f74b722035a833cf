"""Steps of a search: what happens on its batches."""

from .adversarial_step import AdversarialStep
from .alternating_step import AlternatingStep
from .dada_step import DADAStep
from .ddas_step import DDASStep
from .linear_critic import LinearCritic
from .look_ahead_step import LookAheadStep
from .perceptron_critic import PerceptronCritic
from .search_step import SearchStep

__all__ = [
    'AdversarialStep',
    'AlternatingStep',
    'DADAStep',
    'DDASStep',
    'LinearCritic',
    'LookAheadStep',
    'PerceptronCritic',
    'SearchStep',
]
