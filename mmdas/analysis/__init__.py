"""What a trained model looks at: saliency, class activation maps, the object that they point at, and gates."""

from .cam import activation_maps, class_activation_maps
from .gates import frames_of, fusion_gates, noting_gates
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
    'frames_of',
    'fusion_gates',
    'localize',
    'noting_gates',
    'saliency_maps',
    'smooth_saliency',
    'to_picture',
]
