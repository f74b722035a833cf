"""Regularisers of feature maps: modules without parameters, and the places of a backbone where they act."""

from .adl import ADL
from .base import FeatureRegularizer
from .drop_block import DropBlock
from .error import FeatureError
from .mix_style import MixStyle
from .place import Placed, choose_sites, place
from .sites import find_maps, find_stages, named_maps

__all__ = [
    'ADL',
    'DropBlock',
    'FeatureError',
    'FeatureRegularizer',
    'MixStyle',
    'Placed',
    'choose_sites',
    'find_maps',
    'find_stages',
    'named_maps',
    'place',
]
