"""Slide inference outside of the graph, with NumPy alone: which windows an image has, and the mean of their logits."""

from collections.abc import Callable, Sequence

import numpy as np

Box = tuple[int, int, int, int]  # top, bottom, left, right


def windows(size: Sequence[int], crop: Sequence[int], stride: Sequence[int]) -> list[Box]:
    """Windows of an image, as MMSegmentation's slide inference has them: those at the far sides are moved back.

    Args:
        size: (H, W) of the image.
        crop: (h, w) of a window.
        stride: between windows, (vertical, horizontal).

    Returns:
        For each window its rows top to bottom and columns left to right. An image that is smaller than the window has
        one that is smaller, too.
    """
    rows, columns = (_spans(*sides) for sides in zip(size, crop, stride, strict=True))
    return [(top, bottom, left, right) for top, bottom in rows for left, right in columns]


def _spans(side: int, crop: int, stride: int) -> list[tuple[int, int]]:
    count = max(side - crop + stride - 1, 0) // stride + 1
    ends = [min(index * stride + crop, side) for index in range(count)]
    return [(max(end - crop, 0), end) for end in ends]


def slide(
    run: Callable[[np.ndarray], np.ndarray], images: np.ndarray, crop: Sequence[int], stride: Sequence[int]
) -> np.ndarray:
    """Mean of the predictions of all windows, at each pixel over those that show it.

    Args:
        run: windows (B, C, h, w) -> logits or probabilities (B, K, h, w).
        images: (B, C, H, W).
        crop, stride: see :func:`windows`.

    Returns:
        (B, K, H, W), float32.
    """
    height, width = images.shape[-2:]
    total = votes = np.zeros((1, 1, height, width), np.float32)
    for top, bottom, left, right in windows((height, width), crop, stride):
        part = run(np.ascontiguousarray(images[..., top:bottom, left:right]))
        if total is votes:
            total, votes = np.zeros((*part.shape[:2], height, width), np.float32), votes.copy()
        total[..., top:bottom, left:right] += part
        votes[..., top:bottom, left:right] += 1
    return total / votes
