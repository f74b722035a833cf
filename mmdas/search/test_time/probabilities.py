"""Probabilities of logits, their weighted mean over views, and back."""

from collections.abc import Iterable

import torch
from torch import Tensor

TINY = 1e-12  # what a probability of 0 counts as in a logarithm


def to_probabilities(logits: Tensor) -> Tensor:
    """Softmax over the classes, or the sigmoid of a single channel, at least in single precision.

    Args:
        logits: (N, K) or (N, K, H, W).
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def to_logits(probabilities: Tensor) -> Tensor:
    """Logits whose :func:`to_probabilities` these are: logarithms, or the logit of a single channel."""
    if probabilities.shape[1] == 1:
        return torch.logit(probabilities, eps=1e-7)
    return probabilities.clamp(min=TINY).log()


def class_probabilities(probabilities: Tensor) -> Tensor:
    """(N, K, ...) with a channel each class: of a single channel, background and foreground."""
    if probabilities.shape[1] > 1:
        return probabilities
    return torch.cat([1 - probabilities, probabilities], dim=1)


def weighted_mean(parts: Iterable[tuple[float, Tensor, Tensor | None]]) -> Tensor:
    """Mean of the probabilities of several views; a pixel that a view does not show gets no vote from it.

    Args:
        parts: of each view its weight, probabilities (N, K, ...), and which pixels it shows, (N, 1, ...) of 1 and 0;
            None: all. They are taken one after the other, so that the memory is that of two views. At least one view
            shows every pixel.

    Returns:
        (N, K, ...).
    """
    votes = total = torch.zeros(())
    for weight, probabilities, seen in parts:
        vote = torch.as_tensor(weight).to(probabilities) if seen is None else weight * seen
        total = total.to(probabilities.device) + vote * probabilities
        votes = votes.to(probabilities.device) + vote
    return total / votes
