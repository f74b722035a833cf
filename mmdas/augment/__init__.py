"""Augments: steps ``(images, samples) -> (images, samples)`` of a training, on batches, before clips are made."""

from typing import Any

from mmdas.registry import AUGMENTS, import_part
from mmdas.search.dada import DADASearch
from mmdas.search.ddas import DDASSearch
from mmdas.search.faster_aa import FasterAASearch

from .chain import Augment, AugmentChain, AugmentError
from .cls_cut_mix import CutMix
from .hide_and_seek import HideAndSeek
from .keep import KeepCutMix, KeepCutout, KeepPaste
from .mixup import Mixup
from .policy_augment import PolicyAugment
from .puzzle_mix import PuzzleMix
from .searched_augment import SearchedAugment
from .seg_cut_mix import SegCutMix
from .style_augment import StyleAugment

for searchable in (DADASearch, DDASSearch, FasterAASearch):
    AUGMENTS.register_module(module=searchable)

PARTS = {  # imported on demand: their base is MMCV's
    'PlaceCrop': 'mmdas.augment.place_crop',
    'PolicyTransform': 'mmdas.augment.policy_transform',
}


def __getattr__(name: str) -> Any:
    return import_part(__name__, PARTS, name)


__all__ = [
    'Augment',
    'AugmentChain',
    'AugmentError',
    'CutMix',
    'DADASearch',
    'DDASSearch',
    'FasterAASearch',
    'HideAndSeek',
    'Mixup',
    'KeepCutMix',
    'KeepCutout',
    'KeepPaste',
    'PlaceCrop',
    'PolicyAugment',
    'PolicyTransform',
    'PuzzleMix',
    'SearchedAugment',
    'SegCutMix',
    'StyleAugment',
]
