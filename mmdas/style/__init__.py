"""Styles of images: textures, style transfer, fast networks, AdaIN, and styles at random. Plain PyTorch."""

from .decoder import AdaINDecoder
from .distribution import StyleDistribution
from .fast_style import FastStyle
from .fast_style_training import PerceptualLoss, train_fast_style
from .images import list_images, read_image
from .named_layers import FeatureNetwork, NamedLayers
from .statistics import Statistics, adaptive_instance_norm, channel_statistics, gram_matrix, with_statistics
from .stylizer import AdaINStyle, ColourStatistics, Stylizer
from .synthesis import (
    Synthesis,
    balanced_weights,
    equal_weights,
    style_grams,
    synthesize_texture,
    transfer_style,
)
from .vgg import VGG19
from .weights import StyleWeightsError

__all__ = [
    'AdaINDecoder',
    'AdaINStyle',
    'ColourStatistics',
    'FastStyle',
    'FeatureNetwork',
    'NamedLayers',
    'PerceptualLoss',
    'Statistics',
    'StyleDistribution',
    'StyleWeightsError',
    'Stylizer',
    'Synthesis',
    'VGG19',
    'adaptive_instance_norm',
    'balanced_weights',
    'channel_statistics',
    'equal_weights',
    'gram_matrix',
    'list_images',
    'read_image',
    'style_grams',
    'synthesize_texture',
    'train_fast_style',
    'transfer_style',
    'with_statistics',
]
