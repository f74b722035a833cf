"""Data sets of the package's configs, and the holdout split of a search.

What reads with one toolbox is imported when it is asked for, so that either toolbox goes without the other.
"""

from typing import Any

from mmdas.registry import import_part

from .holdout import HoldoutDataset, check_holdout, holdout_indices

# Name -> module that defines it.
PARTS = {
    'CamVidDataset': 'mmdas.datasets.camvid',
    'DigitScenesDataset': 'mmdas.datasets.digit_scenes',
    'ReducedCIFAR10': 'mmdas.datasets.cifar10_reduced',
    'ShapeTextureDigits': 'mmdas.datasets.shape_texture',
    'TinyImageNet': 'mmdas.datasets.tiny_imagenet',
}


def __getattr__(name: str) -> Any:
    return import_part(__name__, PARTS, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PARTS})


__all__ = ['HoldoutDataset', 'check_holdout', 'holdout_indices', *PARTS]
