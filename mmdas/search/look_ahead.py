"""The policy's gradient through one step of the weights (DARTS, Liu et al., ICLR 2019, Sec. 2.3)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

SHIFT = 0.01  # length of the finite difference in the space of the weights, as in DARTS


def look_ahead_gradient(
    loss: Callable[[Any], Tensor],
    train_batch: Any,
    held_out_batch: Any,
    policy: Sequence[Tensor],
    weights: Sequence[Tensor],
    rates: Sequence[float],
) -> tuple[list[Tensor], Tensor]:
    """Gradient of held_out(w - rate * d train(w, policy) / dw, policy) with respect to the policy.

    Its second-order part is a product of the train loss's mixed derivatives with a vector, taken by central finite
    differences along that vector, exact where the gradient of the policy is linear or quadratic in the weights. It
    takes four passes: the step, the held-out batch and the two differences.

    Args:
        loss: of a batch, from the policy and the weights as they stand.
        train_batch: of the step.
        held_out_batch: of the loss after it.
        policy, weights: leaves; the weights are as before when the call ends.
        rates: of the step for each tensor of the weights, plain gradient descent.

    Returns:
        One gradient for each tensor of the policy, and the held-out loss after the step.
    """
    step = [-rate * part for rate, part in zip(rates, _gradients(loss(train_batch), weights), strict=True)]
    with shifted(weights, step):
        held_out = loss(held_out_batch)
        gradients = _gradients(held_out, [*policy, *weights])
    direct, slope = gradients[: len(policy)], gradients[len(policy) :]
    direction = [rate * part for rate, part in zip(rates, slope, strict=True)]
    length = torch.stack([part.norm() for part in direction]).norm()
    scale = SHIFT / length.clamp(min=torch.finfo(length.dtype).tiny)  # without a direction nothing is shifted
    with shifted(weights, [scale * part for part in direction]):
        above = _gradients(loss(train_batch), policy)
    with shifted(weights, [-scale * part for part in direction]):
        below = _gradients(loss(train_batch), policy)
    second = [(a - b) / (2 * scale) for a, b in zip(above, below, strict=True)]
    return [d - s for d, s in zip(direct, second, strict=True)], held_out.detach()


def _gradients(loss: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Gradients, zero for what the loss does not depend on."""
    found = torch.autograd.grad(loss, tensors, allow_unused=True)
    return [torch.zeros_like(t) if part is None else part for t, part in zip(tensors, found, strict=True)]


@contextmanager
def shifted(tensors: Sequence[Tensor], shifts: Sequence[Tensor]) -> Iterator[None]:
    """Move leaves for a while; afterwards they are exactly as before."""
    before = [tensor.detach().clone() for tensor in tensors]
    with torch.no_grad():
        for tensor, shift in zip(tensors, shifts, strict=True):
            tensor.add_(shift)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
