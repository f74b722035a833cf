"""Where the object is, from a map of a classifier that knows image labels alone; and how well that goes."""

from .boxes import box_of, components, largest_component
from .evaluation import BoxAccuracy, PixelPrecision, box_ious
from .grab_cut import BACKGROUND, FOREGROUND, Localization, localize, localize_above, seeds
from .unit_map import unit_map

__all__ = [
    'BACKGROUND',
    'FOREGROUND',
    'BoxAccuracy',
    'Localization',
    'PixelPrecision',
    'box_ious',
    'box_of',
    'components',
    'largest_component',
    'localize',
    'localize_above',
    'seeds',
    'unit_map',
]
