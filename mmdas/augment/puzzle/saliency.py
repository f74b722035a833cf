"""What of an image matters to a model: the gradient of its own loss (Kim et al., ICML 2020, Sec. 4)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdas.augment.evaluating import evaluating

from .pieces import block_means

SCALE = 2.0**12  # of the loss, whose gradients in float16 would vanish; it divides out


def loss_saliency(model: Any, images: Tensor, samples: Sequence) -> Tensor:
    """How far the loss of clean images changes with each pixel, up to a factor.

    The network is in evaluation mode meanwhile, so that an image's saliency does not depend on the others. No gradient
    of a weight is computed or changed.

    Args:
        model: of a toolbox, without a distributed wrapper.
        images: (B, C, H, W), as the data preprocessor gives them, before clips are made.
        samples: with their labels.

    Returns:
        (B, H, W), the square root of the mean over the colours of the squared gradient; 0 where it is no number.
    """
    with torch.enable_grad(), evaluating(model):
        leaf = images.detach().requires_grad_()
        losses = model.loss(model.data_preprocessor.to_inputs(leaf), samples)
        loss, _ = model.parse_losses(losses)
        (gradient,) = torch.autograd.grad(loss * SCALE, leaf)
    saliency = gradient.float().square().mean(1).sqrt()
    return saliency.nan_to_num(0.0, 0.0, 0.0)


def block_importance(saliency: Tensor, blocks: int) -> Tensor:
    """Shares (N, n, n) of the blocks in the saliency (N, H, W) of an image; equal ones where it is 0 everywhere."""
    means = block_means(saliency, blocks).double()
    total = means.sum((1, 2), keepdim=True)
    return torch.where(total > 0, means / total.where(total > 0, torch.ones_like(total)), 1 / blocks**2)
