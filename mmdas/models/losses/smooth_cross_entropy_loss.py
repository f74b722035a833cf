"""Label smoothing for heads of MMSegmentation."""

from typing import Any

from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.losses.utils import weight_reduce_loss
from torch import Tensor

from mmdas.registry import MODELS

from .smoothing import mean_divisor, smooth_cross_entropy


@MODELS.register_module()
class SmoothCrossEntropyLoss(CrossEntropyLoss):
    """MMSegmentation's cross-entropy over the classes, with smoothed labels (Szegedy et al., CVPR 2016, Sec. 7).

    Without smoothing it equals ``CrossEntropyLoss`` of MMSegmentation, with all options and arguments of a call. It
    also takes ``class_weight`` and ``avg_non_ignore=True`` together.

    Args:
        smoothing: e in [0, 1): a label's distribution gives 1 - e to its class, and e / K more to each of K classes.
            Default: 0.1.
        **options: ``loss_weight``, ``class_weight``, ``reduction``, ``loss_name`` and ``avg_non_ignore`` of
            ``CrossEntropyLoss``.

    Shape:
        logits (N, K, ...) and labels (N, ...) -> a number, or (N, ...) with the reduction ``'none'``. Pixels of the
        label ``ignore_index`` add nothing.

    Raises:
        ValueError: for another smoothing, or with ``use_sigmoid`` or ``use_mask``, whose labels are no distribution
            over the classes.
    """

    def __init__(self, smoothing: float = 0.1, **options: Any) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError(f'smoothing of mmdas.SmoothCrossEntropyLoss must be in [0, 1), got {smoothing}')
        for name in ('use_sigmoid', 'use_mask'):
            if options.pop(name, False):
                raise ValueError(
                    f'mmdas.SmoothCrossEntropyLoss smooths distributions over the classes, but {name} is True; take '
                    "dict(type='CrossEntropyLoss') there"
                )
        super().__init__(**options)
        self.smoothing = smoothing
        self.cls_criterion = self._criterion

    def _criterion(
        self,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        class_weight: Tensor | None = None,
        reduction: str = 'mean',
        avg_factor: Any = None,
        ignore_index: int = -100,
        avg_non_ignore: bool = False,
    ) -> Tensor:
        losses = smooth_cross_entropy(logits, labels, self.smoothing, class_weight, ignore_index)
        if avg_factor is None and reduction == 'mean':
            avg_factor = mean_divisor(labels, class_weight, ignore_index, avg_non_ignore)
        weight = None if weight is None else weight.float()
        return weight_reduce_loss(losses, weight=weight, reduction=reduction, avg_factor=avg_factor)

    def extra_repr(self) -> str:
        return f'smoothing={self.smoothing}, {super().extra_repr()}'
