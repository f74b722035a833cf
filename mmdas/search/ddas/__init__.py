"""Direct Differentiable Augmentation Search (DDAS; Liu et al., ICCV 2021). Plain torch."""

from .look_ahead import combine, policy_objective, usefulness
from .search import DDASSearch
from .space import ddas_space, uniform_policy

__all__ = ['DDASSearch', 'combine', 'ddas_space', 'policy_objective', 'uniform_policy', 'usefulness']
