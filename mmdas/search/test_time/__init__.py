"""Views of an image at test time: which to average, with which weights. Plain torch."""

from .policy import ViewPolicy
from .probabilities import to_logits, to_probabilities, weighted_mean
from .search import MAX_VIEWS, PRICE, decide, look, predict_views, search_views
from .view import View
from .view_space import GROUPS, build_views
from .view_table import ViewTable
from .weights import ChosenViews, choose_views, fit_weights, mixture_likelihood

__all__ = [
    'GROUPS',
    'MAX_VIEWS',
    'PRICE',
    'ChosenViews',
    'View',
    'ViewPolicy',
    'ViewTable',
    'build_views',
    'choose_views',
    'decide',
    'fit_weights',
    'look',
    'mixture_likelihood',
    'predict_views',
    'search_views',
    'to_logits',
    'to_probabilities',
    'weighted_mean',
]
