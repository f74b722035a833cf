"""The score of its label that a network gives an image, whose derivative is the saliency."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SCORES = ('logit', 'loss')
MAP = 'gt_sem_seg'


def check_options(score: str, resolution: float) -> None:
    """Raise a ValueError for another score than those of ``SCORES``, or a resolution that is not in (0, 1]."""
    if score not in SCORES:
        raise ValueError(f'score of a saliency must be one of {SCORES}, got {score!r}')
    if not 0 < resolution <= 1:
        raise ValueError(f'resolution of a saliency must be in (0, 1], got {resolution}')


def has_maps(samples: Sequence) -> bool:
    """Whether the labels of samples are maps, as in segmentation."""
    return MAP in samples[0]


def label_scores(logits: Any, samples: Sequence, score: str = 'logit', ignore_index: int = 255) -> Tensor:
    """One score for each image.

    Args:
        logits: (B, K) of classes or (B, K, h, w) of pixels, before softmax; K = 1 for two classes and a sigmoid.
        samples: of the batch, with ``gt_score`` or ``gt_label``, or with label maps ``gt_sem_seg`` (1, H, W). Each
            position of the logits takes the label in its middle.
        score: ``'logit'``: the sum of the labels' logits, weighted by ``gt_score`` where there is one.
            ``'loss'``: the cross-entropy. Pixels are summed.
        ignore_index: label of pixels that do not count; those outside the classes do not either.

    Returns:
        (B,), float32 at least.

    Raises:
        ValueError: for logits that are no such tensor.
    """
    if not isinstance(logits, Tensor) or logits.ndim not in (2, 4) or len(logits) != len(samples):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f'the head of the model gives {shape} for {len(samples)} images; the saliency of a label takes '
            'a head that gives one tensor of logits, (B, classes) or (B, classes, h, w)'
        )
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.shape[1] == 1:
        other = -logits if score == 'logit' else torch.zeros_like(logits)
        logits = torch.cat([other, logits], dim=1)
    values = logits if score == 'logit' else -F.log_softmax(logits, dim=1)
    targets = label_targets(samples, logits, ignore_index)
    return (values * targets).flatten(1).sum(1)


def label_targets(samples: Sequence, logits: Tensor, ignore_index: int = 255) -> Tensor:
    """The labels of samples as weights of the classes, in the shape of logits; 0 where a pixel does not count.

    Raises:
        ValueError: for samples without a label, or with a label that no logit stands for.
    """
    if has_maps(samples):
        return map_targets(torch.stack([sample.get(MAP).data for sample in samples]), logits, ignore_index)
    rows = [class_weights(sample, logits.shape[1]) for sample in samples]
    return torch.stack(rows).to(logits)


def class_weights(sample: Any, num_classes: int) -> Tensor:
    """``gt_score`` of a sample, or 1 at each class of its ``gt_label``; (K,), float32.

    Raises:
        ValueError: if it has neither, or a class that is not below ``num_classes``.
    """
    if 'gt_score' in sample:
        weights = sample.gt_score.float()
        if weights.shape != (num_classes,):
            raise ValueError(f'gt_score of a sample is {tuple(weights.shape)}, the model has {num_classes} classes')
        return weights
    if 'gt_label' not in sample:
        raise ValueError(
            f'KeepAugment needs gt_label, gt_score or {MAP} of samples, got {sorted(sample.keys()) or "no field"}'
        )
    labels = sample.gt_label.long()
    try:
        return labels.new_zeros(num_classes, dtype=torch.float32).index_fill(0, labels, 1.0)
    except IndexError:
        raise ValueError(f'gt_label of a sample is {labels.tolist()}, the model has {num_classes} classes') from None


def map_targets(labels: Tensor, logits: Tensor, ignore_index: int) -> Tensor:
    """Labels (B, 1, H, W) as weights (B, K, h, w) of classes: each position takes the label in its middle."""
    rows, columns = (
        ((torch.arange(coarse, device=labels.device) + 0.5) * (fine / coarse)).long()
        for coarse, fine in zip(logits.shape[-2:], labels.shape[-2:], strict=True)
    )
    picked = labels[:, :, rows][..., columns].to(logits.device).long()
    counts = (picked >= 0) & (picked < logits.shape[1]) & (picked != ignore_index)
    return torch.zeros_like(logits).scatter(1, picked.where(counts, 0), counts.to(logits))
