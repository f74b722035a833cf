"""Models for test-time augmentation."""

from .seg_tta import SegTTAModel

__all__ = ['SegTTAModel']
