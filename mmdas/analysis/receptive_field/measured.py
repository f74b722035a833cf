"""The effective receptive field, which derivatives measure (Luo et al., NeurIPS 2016)."""

from collections.abc import Callable

import torch
from torch import Tensor


def effective_field(features: Callable[[Tensor], Tensor], images: Tensor, draws: int = 1) -> Tensor:
    """How much the unit in the middle depends on each pixel: the root mean square of the derivatives of its channels.

    Luo et al. (2016, Sec. 3) take the mean of the derivative of one channel. Here random signs sum the channels, and
    squares are averaged over signs, images and colours: their expectation is the squared norm of the Jacobian, in which
    channels cannot cancel each other.

    Args:
        features: images (B, C, H, W) -> maps (B, K, h, w), differentiable.
        images: (B, C, H, W).
        draws: of the signs, >= 1; they come from torch's global generator on the CPU.

    Returns:
        (H, W), >= 0, float32.

    Raises:
        ValueError: for fewer draws than 1, or features that are no maps.
    """
    if draws < 1:
        raise ValueError(f'draws is {draws}, expected at least 1')
    total = images.new_zeros(images.shape[-2:], dtype=torch.double)
    for image in images.detach():
        one = image[None].requires_grad_(True)
        with torch.enable_grad():
            maps = features(one)
        if maps.ndim != 4:
            raise ValueError(f'the features have the shape {tuple(maps.shape)}, expected maps (1, K, h, w)')
        unit = maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2]
        for draw in range(draws):
            signs = (torch.rand(unit.shape) < 0.5).to(unit) * 2 - 1
            (slope,) = torch.autograd.grad((signs * unit).sum(), one, retain_graph=draw < draws - 1)
            total += slope[0].double().square().mean(0)
    return (total / (len(images) * draws)).sqrt().float()
