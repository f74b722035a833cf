"""The step from image to clip in a classifier."""

from typing import Any

from mmpretrain.models import ImageClassifier

from mmdas.models.clip_model import ClipModel
from mmdas.registry import MODELS


@MODELS.register_module()
class DASImageClassifier(ClipModel, ImageClassifier):
    """:class:`mmpretrain.models.ImageClassifier` for backbones with ``part_after``; all its arguments.

    Without ``part_after`` it predicts what the plain classifier does, whose data preprocessor makes the clip.

    Raises:
        ValueError: as :class:`ClipModel`.
    """

    own_preprocessor = 'mmdas.DASClsDataPreprocessor'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.data_preprocessor.marks_content = True  # whose samples do not tell what pads them
