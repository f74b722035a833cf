"""Label smoothing (Szegedy et al., CVPR 2016, Sec. 7) for labels of pixels."""

import torch.nn.functional as F
from torch import Tensor


def smooth_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    smoothing: float = 0.1,
    class_weight: Tensor | None = None,
    ignore_index: int = -100,
) -> Tensor:
    """Cross-entropy with the distribution that gives 1 - e to the label, and e / K more to each of K classes.

    Args:
        logits: (N, K, ...).
        labels: (N, ...), classes or ``ignore_index``.
        smoothing: e, in [0, 1); 0 is the plain cross-entropy. Default: 0.1.
        class_weight: (K,), which each class's term is multiplied with. Default: 1.
        ignore_index: label that does not count. Default: -100.

    Returns:
        (N, ...), the loss of each label; zero, without a gradient, where a label does not count.
    """
    return F.cross_entropy(
        logits, labels, class_weight, ignore_index=ignore_index, reduction='none', label_smoothing=smoothing
    )


def mean_divisor(
    labels: Tensor, class_weight: Tensor | None = None, ignore_index: int = -100, valid_only: bool = False
) -> Tensor | int:
    """What a sum of losses is divided by for their mean, as MMSegmentation does.

    Args:
        labels: (N, ...).
        class_weight: (K,). With it, the divisor is the sum of the weights of all labels that count.
        ignore_index: label that does not count. Default: -100.
        valid_only: without class weights, whether labels that do not count are left out. Default: not.
    """
    counts = labels != ignore_index
    if class_weight is not None:
        return class_weight[labels[counts]].sum()
    return int(counts.sum()) if valid_only else labels.numel()
