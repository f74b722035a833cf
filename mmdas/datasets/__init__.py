"""Data sets of the package's configs, and the holdout split of a search."""

from .camvid import CamVidDataset
from .cifar10_reduced import ReducedCIFAR10
from .digit_scenes import DigitScenesDataset
from .holdout import HoldoutDataset, check_holdout, holdout_indices
from .tiny_imagenet import TinyImageNet

__all__ = [
    'CamVidDataset',
    'DigitScenesDataset',
    'HoldoutDataset',
    'ReducedCIFAR10',
    'TinyImageNet',
    'check_holdout',
    'holdout_indices',
]
