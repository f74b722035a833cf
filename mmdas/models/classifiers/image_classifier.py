"""MMPretrain's classifier, for clips whose frames are aligned within the network."""

from typing import Any

from mmpretrain.models import ImageClassifier
from torch import Tensor

from mmdas.models.aligned_fusions import check_alignable, hand_over_warps
from mmdas.registry import MODELS


@MODELS.register_module()
class DASImageClassifier(ImageClassifier):
    """:class:`mmpretrain.models.ImageClassifier` that tells its fusions how the frames of a clip were warped.

    Fusions with ``aligned=True`` need it; without them it is the plain class. All arguments are those of the parent.

    Shape:
        inputs: clips (B, T*C, H, W) of its data preprocessor.

    Raises:
        ValueError: if a fusion is aligned and the data preprocessor is none of DAS, or the frames of its policy have no
            single warp each.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_alignable(self)

    def extract_feat(self, inputs: Tensor, stage: str = 'neck') -> Any:
        """As of the parent."""
        hand_over_warps(self, (inputs.shape[-2], inputs.shape[-1]), len(inputs))
        return super().extract_feat(inputs, stage)
