"""Top-1 accuracy or mIoU, counted exactly, for searches without a toolbox."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .probabilities import class_probabilities, to_logits


class Score:
    """Percent of right images (N, K), or the mean over the classes of intersection over union (N, K, H, W).

    Args:
        ignore_index: label of a pixel without a class.
    """

    def __init__(self, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index
        self.counts: Tensor | None = None  # (K, K), label by prediction
        self.is_map = False

    def add(self, probabilities: Tensor, labels: Tensor) -> None:
        """Count predictions (N, K), or (N, K, h, w), whose logits are resized to the label maps (N, H, W)."""
        classes = class_probabilities(probabilities)
        self.is_map = classes.ndim == 4
        if self.is_map and classes.shape[-2:] != labels.shape[-2:]:
            logits = F.interpolate(to_logits(classes), labels.shape[-2:], mode='bilinear', align_corners=False)
            predicted = logits.argmax(1)
        else:
            predicted = classes.argmax(1)
        counted = labels.to(predicted.device) != self.ignore_index if self.is_map else torch.ones_like(labels).bool()
        size = classes.shape[1]
        pairs = labels.to(predicted.device)[counted].long() * size + predicted[counted]
        counts = torch.bincount(pairs.flatten(), minlength=size**2).view(size, size).cpu()
        self.counts = counts if self.counts is None else self.counts + counts

    def value(self) -> float:
        """The score, in percent; classes that neither occur nor are predicted do not count.

        Raises:
            ValueError: if nothing was counted.
        """
        if self.counts is None or not self.counts.sum():
            raise ValueError('there is no label to score; give images with labels')
        right = self.counts.diagonal().double()
        if not self.is_map:
            return float(100 * right.sum() / self.counts.sum())
        union = self.counts.sum(0) + self.counts.sum(1) - right
        return float(100 * (right / union)[union > 0].mean())
