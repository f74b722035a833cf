"""Mixup for classification."""

from collections.abc import Sequence

from torch import Tensor

from mmdas.registry import AUGMENTS

from .label_mixer import LabelMixer


@AUGMENTS.register_module()
class Mixup(LabelMixer):
    """Blend each image with another one of its batch, and their labels likewise (Zhang et al., ICLR 2018).

    Unlike MMPretrain's, which stands before all other augments of a batch, it comes where ``augments`` name it. It
    draws a share for each image, never takes an image as its own partner, leaves the batch as it is, and draws from
    PyTorch's random numbers alone.

    Args:
        alpha: > 0, see :class:`LabelMixer`. Default: 0.2, as for ImageNet; the paper takes 1 for CIFAR.
        probability: that an image is mixed, in [0, 1]. Default: 1.
        num_classes: K. Default: that of the head or the samples.

    Shape:
        images (B, C, H, W) and samples of one class each -> new images, and samples with ``gt_score`` (K,), which sums
        to 1. A batch of one stays.

    Raises:
        ValueError: for settings outside their range; in a call for samples of segmentation, see :class:`LabelMixer`.
    """

    def __init__(self, alpha: float = 0.2, probability: float = 1.0, num_classes: int | None = None) -> None:
        super().__init__(alpha, probability, num_classes)

    def mix(self, images: Tensor, samples: Sequence) -> tuple[Tensor, Tensor, Tensor]:
        """Blend pixels."""
        partners, shares = self.draw_partners(len(samples)), self.draw_shares(len(samples))
        weight = shares.to(images)[:, None, None, None]
        return weight * images + (1 - weight) * images[partners.to(images.device)], partners, shares
