"""Data preprocessor of DAS for MMPretrain."""

from mmpretrain.models import ClsDataPreprocessor

from mmdas.registry import MODELS

from .image_to_clip import ImageToClip


@MODELS.register_module()
class DASClsDataPreprocessor(ImageToClip, ClsDataPreprocessor):
    """Normalise, pad and augment as :class:`mmpretrain.models.ClsDataPreprocessor`, then turn every image into a clip.

    Args:
        num_frames, cell, policy, max_value, channel_order, accept_difference, augments: see :class:`ImageToClip`.
        others: as of the parent, ``to_onehot``, ``num_classes`` and ``batch_augments`` included.
    """
