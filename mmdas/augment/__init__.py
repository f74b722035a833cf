"""Augments: steps ``(images, samples) -> (images, samples)`` of a training, on batches, before clips are made."""

from .chain import Augment, AugmentChain
from .seg_cut_mix import SegCutMix

__all__ = ['Augment', 'AugmentChain', 'SegCutMix']
