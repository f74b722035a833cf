"""What a trained model looks at: saliency, class activation maps, and the object that they point at."""

from .cam import activation_maps, class_activation_maps
from .localization import BoxAccuracy, Localization, PixelPrecision, localize
from .network import AnalysisError, Batch, ImageNetwork
from .pictures import colour_order, to_picture
from .saliency import saliency_maps, smooth_saliency

__all__ = [
    'AnalysisError',
    'Batch',
    'BoxAccuracy',
    'ImageNetwork',
    'Localization',
    'PixelPrecision',
    'activation_maps',
    'class_activation_maps',
    'colour_order',
    'localize',
    'saliency_maps',
    'smooth_saliency',
    'to_picture',
]
