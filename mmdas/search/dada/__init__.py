"""Differentiable Automatic Data Augmentation (DADA; Li et al., ECCV 2020). Plain torch."""

from .control_variate import ControlVariate
from .relax import RelaxedDraw, draw_bits, draw_category, relax_gradient, variance_gradients
from .search import DADASearch, PairDraw
from .space import DADA_OPERATIONS, PAIRS

__all__ = [
    'DADA_OPERATIONS',
    'PAIRS',
    'ControlVariate',
    'DADASearch',
    'PairDraw',
    'RelaxedDraw',
    'draw_bits',
    'draw_category',
    'relax_gradient',
    'variance_gradients',
]
