"""The gradient penalty of a critic (WGAN-GP, Gulrajani et al., NeurIPS 2017)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


def gradient_penalty(critic: Callable[[Tensor], Tensor], originals: Tensor, others: Tensor) -> Tensor:
    """Mean squared distance of the critic's slope from 1 between pairs.

    Args:
        critic: (B, ...) -> values (B,).
        originals, others: (B, ...).

    Returns:
        (), with a gradient in the parameters of the critic.
    """
    share = torch.rand(len(originals), *[1] * (originals.ndim - 1), device=originals.device)
    between = (share * originals + (1 - share) * others).detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
        values = critic(between)
    (slope,) = torch.autograd.grad(values.sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
