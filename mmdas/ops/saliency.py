"""Where an image matters: the derivative of a score in its pixels, and the importance of its regions."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ['input_saliency', 'integral_image', 'region_importance']


def input_saliency(score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """How strongly each pixel acts on its image's score (Simonyan et al. 2013, Sec. 3.1).

    It is the absolute derivative of the score, the maximum over colours. Derivatives of weights are neither computed
    nor stored, so that it can be taken within a training step, under ``torch.no_grad`` too. The score decides how the
    network runs: to keep the statistics of batch norm, put it into evaluation mode.

    Args:
        score: images (B, C, H, W) -> scores (B,). The score of an image depends on no other image.
        images: (B, C, H, W), float.

    Returns:
        (B, H, W), float32 or as the images if these are float64; >= 0, without a gradient.

    Raises:
        ValueError: if the scores are not of shape (B,), or do not depend on the images.
    """
    with torch.inference_mode(False), torch.enable_grad():
        leaf = images.detach().clone().requires_grad_()
        scores = score(leaf)
        if scores.shape != leaf.shape[:1]:
            raise ValueError(
                f'score of input_saliency gave a tensor of shape {tuple(scores.shape)} for images of shape '
                f'{tuple(leaf.shape)}; it must give one number for each image, ({leaf.shape[0]},)'
            )
        total = scores.sum(dtype=torch.promote_types(scores.dtype, torch.float32))  # halves overflow in sums
        found = torch.autograd.grad(total, leaf, allow_unused=True)[0] if total.requires_grad else None
    if found is None:
        raise ValueError('score of input_saliency does not depend on the images: it has no derivative in them')
    return found.to(torch.promote_types(found.dtype, torch.float32)).abs().amax(1)


def integral_image(maps: Tensor) -> Tensor:
    """Sums over all rectangles that begin in the upper left corner (Viola and Jones 2001, Sec. 2.1).

    Args:
        maps: (..., H, W), any range.

    Returns:
        (..., H+1, W+1), float64: at (y, x) the sum of the first y rows and x columns.
    """
    return pad(maps.double().cumsum(-2).cumsum(-1), (1, 0, 1, 0))


def region_importance(saliency: Tensor, size: tuple[int, int]) -> Tensor:
    """The importance of all regions of a size: the sum of the saliency in them (Gong et al. 2021, Sec. 3.1).

    Args:
        saliency: (B, H, W).
        size: (h, w) of the regions in pixels, 1 <= h <= H and 1 <= w <= W.

    Returns:
        (B, H-h+1, W-w+1), float64; at (y, x) that of the region whose upper left corner is there.

    Raises:
        ValueError: for a size that does not fit into the map.
    """
    (height, width), (h, w) = saliency.shape[-2:], size
    if not (1 <= h <= height and 1 <= w <= width):
        raise ValueError(f'size of region_importance is {h} x {w}, expected sides from 1 to {height} x {width}')
    sums = integral_image(saliency)
    importance = sums[:, h:, w:] - sums[:, :-h, w:] - sums[:, h:, :-w] + sums[:, :-h, :-w]
    return importance.clamp(min=0)  # rounding goes below it
