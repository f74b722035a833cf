"""RELAX: gradients of expectations over discrete draws (Grathwohl et al., ICLR 2018, Sec. 3).

A draw b is what a relaxed draw z rounds to; z~ is another relaxed draw, given b. With a control variate c, a function
of relaxed draws,

    (f(b) - c(z~)) d log p(b) + d c(z) - d c(z~)

has the gradient of E[f(b)] as its mean, whatever c is. Where c is close to f, its variance is small. Without c it is
REINFORCE. f is known at b alone and needs no derivative.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CLIP = 1e-6  # of uniform numbers, so that their logarithms are finite


@dataclass(frozen=True)
class RelaxedDraw:
    """A discrete draw with its two relaxed ones.

    Args:
        hard: b, without a gradient.
        relaxed: z.
        given: z~.
        log_probability: (), log p(b), the sum over all that was drawn.
    """

    hard: Tensor
    relaxed: Tensor
    given: Tensor
    log_probability: Tensor


def draw_category(logits: Tensor, temperature: float) -> RelaxedDraw:
    """Draw one of K, its relaxed draws by the Gumbel-softmax.

    Args:
        logits: (..., K), of the probabilities.
        temperature: of the relaxed draws.

    Returns:
        With ``hard`` (...), the place, and relaxed draws (..., K) that sum to 1.
    """
    log_shares = logits.log_softmax(dim=-1)
    noise = [-uniform_like(logits).log() for _ in range(2)]  # exponential
    scores = log_shares - noise[0].log()
    hard = scores.detach().argmax(dim=-1)
    place = hard.unsqueeze(-1)
    # Given the place of the largest, its score does not depend on the logits, and the others lie below it.
    largest = noise[1].gather(-1, place)
    below = noise[1] * (-log_shares).exp() + largest
    given = -below.scatter(-1, place, largest).log()
    relaxed, given = ((values / temperature).softmax(dim=-1) for values in (scores, given))
    return RelaxedDraw(hard, relaxed, given, log_shares.gather(-1, place).sum())


def draw_bits(logits: Tensor, temperature: float) -> RelaxedDraw:
    """Draw independent bits.

    Args:
        logits: of any shape, of the probabilities of 1.
        temperature: of the relaxed draws.

    Returns:
        With ``hard`` and relaxed draws of this shape, in [0, 1].
    """
    first, second = uniform_like(logits), uniform_like(logits)
    scores = logits + first.logit()
    hard = (scores.detach() > 0).to(logits.dtype)
    one = logits.sigmoid()
    # Given the bit, the uniform number lies above or below 1 - p.
    number = hard * (1 - one + second * one) + (1 - hard) * second * (1 - one)
    given = logits + number.clamp(CLIP, 1 - CLIP).logit()
    relaxed, given = ((values / temperature).sigmoid() for values in (scores, given))
    log_probability = -F.binary_cross_entropy_with_logits(logits, hard, reduction='sum')
    return RelaxedDraw(hard, relaxed, given, log_probability)


def uniform_like(tensor: Tensor) -> Tensor:
    """Uniform numbers in (0, 1) of a tensor's shape, drawn on the CPU."""
    return torch.rand(tensor.shape, dtype=tensor.dtype).clamp(CLIP, 1 - CLIP).to(tensor.device)


def relax_gradient(
    value: Tensor, log_probability: Tensor, control: Tensor, control_given: Tensor, parameters: Sequence[Tensor]
) -> list[Tensor]:
    """The estimate of the gradient of E[f(b)].

    Args:
        value: (), f(b); or (N, 1), of N draws at once, each with parameters of its own.
        log_probability: (), log p(b), the sum over all draws.
        control, control_given: as ``value``, c(z) and c(z~).
        parameters: of the distribution; of N draws (N, ...).

    Returns:
        One estimate for each parameter, differentiable in what c depends on.
    """
    scores = torch.autograd.grad(log_probability, parameters, retain_graph=True)
    smooth = torch.autograd.grad((control - control_given).sum(), parameters, create_graph=True)
    rest = value.detach() - control_given
    return [rest * score + slope for score, slope in zip(scores, smooth, strict=True)]


def variance_gradients(estimates: Iterable[Tensor], control: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Gradient of the estimate's mean square in the parameters of c, which is that of its variance.

    The mean of the estimate does not depend on c.

    Args:
        estimates: of :func:`relax_gradient`.
        control: parameters of c.
    """
    square = torch.cat([estimate.flatten() for estimate in estimates]).square().mean()
    return torch.autograd.grad(square, control, allow_unused=True, materialize_grads=True)
