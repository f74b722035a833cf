"""What a trained model looks at: saliency, class activation maps, and the object that they point at."""

from .cam import activation_maps, class_activation_maps
from .localization import BoxAccuracy, Localization, PixelPrecision, localize
from .network import AnalysisError, Batch, ImageNetwork
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
    'localize',
    'saliency_maps',
    'smooth_saliency',
]
