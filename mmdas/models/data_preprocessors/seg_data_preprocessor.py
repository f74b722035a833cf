"""Data preprocessor of DAS for MMSegmentation."""

from mmseg.models import SegDataPreProcessor

from mmdas.registry import MODELS

from .image_to_clip import ImageToClip


@MODELS.register_module()
class DASSegDataPreProcessor(ImageToClip, SegDataPreProcessor):
    """Normalise and pad as :class:`mmseg.models.SegDataPreProcessor`, then turn every image into a clip.

    Args:
        num_frames, cell, policy, accept_difference: see :class:`ImageToClip`.
        others: as of the parent, ``size``, ``size_divisor``, ``batch_augments`` and ``test_cfg`` included.
    """

    file_order = 'bgr'  # as OpenCV reads files
