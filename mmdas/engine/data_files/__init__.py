"""Files of training, validation and test: what is wrong with them, found before they are needed or as they are read."""

from .faults import color_fault, size_text
from .guarded_pipeline import GuardedPipeline, leaves_upright
from .leaves import guard, inner_datasets
from .look import image_size
from .survey import Survey, has_files

__all__ = [
    'GuardedPipeline',
    'Survey',
    'color_fault',
    'guard',
    'has_files',
    'image_size',
    'inner_datasets',
    'leaves_upright',
    'size_text',
]
