"""CutMix for classification."""

from collections.abc import Sequence

from torch import Tensor

from mmdas.registry import AUGMENTS

from .cut_mix import draw_cuts
from .label_mixer import LabelMixer


@AUGMENTS.register_module()
class CutMix(LabelMixer):
    """Give images a box of another image of their batch, and its label in the share of the box (Yun et al., ICCV 2019).

    Each image has a box of its own. Like :class:`Mixup` it comes where ``augments`` name it.

    Args:
        alpha: > 0; the part of an image that stays its own has the distribution Beta(alpha, alpha), before the border
            cuts off a part of the box. Default: 1, uniform.
        probability: that an image gets a box, in [0, 1]. Default: 1.
        num_classes: K. Default: that of the head or the samples.

    Shape:
        images (B, C, H, W) and samples of one class each -> new images, and samples with ``gt_score`` (K,), the shares
        of the pixels. A batch of one stays.

    Raises:
        ValueError: for settings outside their range; in a call for samples of segmentation, see :class:`LabelMixer`.
    """

    remedy = 'take mmdas.SegCutMix, whose labels move with the pixels'

    def __init__(self, alpha: float = 1.0, probability: float = 1.0, num_classes: int | None = None) -> None:
        super().__init__(alpha, probability, num_classes)

    def mix(self, images: Tensor, samples: Sequence) -> tuple[Tensor, Tensor, Tensor]:
        """Paste boxes."""
        canvas = (images.shape[-2], images.shape[-1])
        cuts = draw_cuts([canvas] * len(samples), canvas, self.probability, self.alpha)
        return cuts(images), cuts.partners, 1 - cuts.boxes.float().mean((1, 2, 3))
