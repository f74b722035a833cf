"""Augments: steps ``(images, samples) -> (images, samples)`` of a training, on batches, before clips are made."""

from mmdas.registry import AUGMENTS
from mmdas.search.ddas import DDASSearch

from .chain import Augment, AugmentChain
from .policy_augment import PolicyAugment
from .searched_augment import SearchedAugment
from .seg_cut_mix import SegCutMix

AUGMENTS.register_module(module=DDASSearch)

__all__ = ['Augment', 'AugmentChain', 'DDASSearch', 'PolicyAugment', 'SearchedAugment', 'SegCutMix']
