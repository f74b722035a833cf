"""The step from image to clip in a classifier."""

from typing import Any

from mmpretrain.models import ImageClassifier
from torch import Tensor

from mmdas.models.aligned_fusions import hand_over_warps
from mmdas.models.clip_model import ClipModel
from mmdas.registry import MODELS


@MODELS.register_module()
class DASImageClassifier(ClipModel, ImageClassifier):
    """:class:`mmpretrain.models.ImageClassifier` for ``part_after`` and aligned fusions; all its arguments.

    A backbone with ``part_after`` gets images and the step from image to clip. Any other gets the clips of the data
    preprocessor. Fusions with ``aligned=True`` are told how the frames were warped.

    Raises:
        ValueError: as :class:`ClipModel`.
    """

    own_preprocessor = 'mmdas.DASClsDataPreprocessor'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parts = self._parting() is not None
        # The samples of a classification do not tell what pads an image.
        self.data_preprocessor.gives_images = self.data_preprocessor.marks_content = parts

    def extract_feat(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Features of images, or of clips where the frames part before the backbone."""
        if self._parting() is not None:
            return super().extract_feat(inputs, *args, **kwargs)
        hand_over_warps(self, (inputs.shape[-2], inputs.shape[-1]), inputs.shape[0])
        return ImageClassifier.extract_feat(self, inputs, *args, **kwargs)
