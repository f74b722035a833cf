"""The exact policy gradient of DDAS through one step of the weights (Liu et al., ICCV 2021, Sec. 3).

The weights step plain gradient descent along a mean of gradients: that of the clean batch and those of its augmented
copies. The held-out loss after that step is then linear in the mean's shares, to first order in the rate. So its
gradient in the policy needs inner products of gradients alone, no second derivative.
"""

import torch
from torch import Tensor


def combine(gradients: Tensor, probability: Tensor, weights: Tensor) -> Tensor:
    """Direction of the step: (1 - theta) g_0 + theta sum_l (q_l / Z) g_l, with Z = sum_l q_l.

    Args:
        gradients: (L + 1, P), of the clean batch and of its L copies.
        probability: (), theta, of augmenting.
        weights: (L,), q, probabilities of the copies' sequences.

    Returns:
        (P,).
    """
    shares = torch.cat([(1 - probability).view(1), probability * weights / weights.sum()])
    return shares.to(gradients.dtype) @ gradients


def usefulness(gradients: Tensor, held_out: Tensor) -> Tensor:
    """How much more each copy's gradient lowers the held-out loss than the clean one: h_l = <g_l, g_V> - <g_0, g_V>.

    Args:
        gradients: (L + 1, P).
        held_out: (P,), g_V, gradient of the held-out loss at the new weights.

    Returns:
        (L,).
    """
    products = gradients @ held_out
    return products[1:] - products[0]


def policy_objective(useful: Tensor, probability: Tensor, weights: Tensor) -> Tensor:
    """J = - sum_l h_l theta q_l / Z, with h and Z held constant.

    The rate times its gradient is that of the held-out loss at the weights after the step along
    (1 - theta Q) g_0 + theta sum_l (q_l / Z) g_l, in which Q = sum_l q_l / Z is 1 at the present q.

    Args:
        useful: (L,), h, scaled at will.
        probability, weights: as of :func:`combine`, with their gradients.
    """
    return -(useful.detach() * probability * weights / weights.sum().detach()).sum()
