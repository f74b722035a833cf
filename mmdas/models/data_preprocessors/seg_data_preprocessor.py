"""Data preprocessor of DAS for MMSegmentation."""

import logging
from typing import Any

from mmengine.logging import print_log
from mmseg.models import SegDataPreProcessor

from mmdas.registry import MODELS

from .image_to_clip import ImageToClip


@MODELS.register_module()
class DASSegDataPreProcessor(ImageToClip, SegDataPreProcessor):
    """Normalise and pad as :class:`mmseg.models.SegDataPreProcessor`, and own the step from image to clip.

    The segmentors of DAS take that step where their backbone takes the image; for other models the preprocessor does.

    Args:
        num_frames, cell, policy, max_value, channel_order, accept_difference, augments: see :class:`ImageToClip`.
        others: as of the parent, ``size``, ``size_divisor``, ``batch_augments`` and ``test_cfg`` included.

    Raises:
        ValueError: for ``batch_augments`` that cannot be called, and as :class:`ImageToClip`.
    """

    file_order = 'bgr'  # as OpenCV reads files
    _told_of_windows = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.batch_augments is not None and not callable(self.batch_augments):
            raise ValueError(
                'data_preprocessor.batch_augments must be a callable (images, samples) -> (images, samples), got '
                f'{self.batch_augments!r}; MMSegmentation builds none from a config, so leave it out'
            )

    def forward(self, data: dict, training: bool = False) -> dict:
        """As of :class:`ImageToClip`; tells once where a test would cut windows out of the clip of a whole image."""
        if not (training or self.gives_images or self._told_of_windows or self.image_to_clip is None):
            self._told_of_windows = True
            print_log(
                'the model takes clips of whole images: windows of slide inference are cut out of them and are no '
                "clips of a training; set model.type='mmdas.DASEncoderDecoder' (or 'mmdas.DASCascadeEncoderDecoder')",
                'current',
                logging.WARNING,
            )
        return super().forward(data, training)
