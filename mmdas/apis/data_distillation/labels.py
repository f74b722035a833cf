"""Hard labels of predictions, where these are sure enough (Radosavovic et al., CVPR 2018, Sec. 3.3)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

LARGEST = 255  # labels of a map with one byte a pixel, the last one being that which does not count


def hard_label(scores: Tensor, confidence: float = 0.0) -> tuple[int, float, bool]:
    """The class of an image.

    Args:
        scores: (K,), probabilities.
        confidence: least probability of a label that is kept, from 0 to 1.

    Returns:
        The class, its probability, and whether it is kept.
    """
    label = int(scores.argmax())
    score = float(scores[label])
    return label, score, score >= confidence


def ignored_as_written(ignore_index: int, shift: int = 0) -> int:
    """The byte of a label map that is read as the label which does not count.

    Args:
        ignore_index: of the head.
        shift: 1 for a data set that reads with ``reduce_zero_label``, which takes 1 from each byte, and 0 and 255 for
            255.

    Raises:
        ValueError: if no byte is read so.
    """
    readable = range(LARGEST - 1) if shift else range(LARGEST)
    if ignore_index != LARGEST and ignore_index not in readable:
        raise ValueError(
            f'decode_head.ignore_index is {ignore_index}, which no label map of one byte a pixel can hold, so that '
            'pixels could not be left out; set 255 for all heads, or leave out --confidence'
        )
    return ignore_index if ignore_index == LARGEST else ignore_index + shift


def hard_map(sample: Any, confidence: float = 0.0, ignore_index: int = 255, shift: int = 0) -> tuple[np.ndarray, float]:
    """The label map of an image.

    Args:
        sample: of MMSegmentation, with ``seg_logits``, logits (K, H, W) or the probability of a single channel, and
            ``pred_sem_seg``.
        confidence: least probability of a pixel's label that is kept, from 0 to 1.
        ignore_index: label of the others as it is written, see :func:`ignored_as_written`.
        shift: what is added to the classes: 1 for a data set that reads with ``reduce_zero_label``.

    Returns:
        (H, W), uint8, and the share of the pixels that are kept.

    Raises:
        ValueError: for more classes than a byte holds.
    """
    logits, labels = sample.seg_logits.data.float(), sample.pred_sem_seg.data[0].long()
    if max(len(logits), 2) + shift > LARGEST:
        raise ValueError(f'{len(logits)} classes do not fit into label maps of one byte a pixel')
    if len(logits) > 1:
        score = logits.softmax(0).gather(0, labels[None])[0]
    else:
        score = torch.where(labels == 1, logits[0], 1 - logits[0])
    kept = score >= confidence
    found = torch.where(kept, labels + shift, torch.full_like(labels, ignore_index))
    return found.cpu().numpy().astype(np.uint8), float(kept.float().mean())
