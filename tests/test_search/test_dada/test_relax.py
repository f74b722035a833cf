"""RELAX on a space that is small enough to sum over."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from mmdas.search.dada import ControlVariate, RelaxedDraw, draw_bits, draw_category, relax_gradient, variance_gradients

CATEGORIES, BITS, TEMPERATURE = 3, 2, 0.5
TABLE = torch.tensor([[[1.0, 3.0], [-2.0, 0.5]], [[2.0, -1.0], [4.0, 1.0]], [[-3.0, 0.0], [1.5, 2.5]]])


def logits() -> list[Tensor]:
    return [torch.tensor([0.3, -0.5, 0.6], requires_grad=True), torch.tensor([0.4, -0.9], requires_grad=True)]


def exact_gradient(parameters: list[Tensor]) -> Tensor:
    """By a sum over all 12 draws."""
    shares, ones = parameters[0].softmax(dim=0), parameters[1].sigmoid()
    total = torch.zeros(())
    for category, *bits in product(range(CATEGORIES), *[range(2)] * BITS):
        chance = shares[category]
        for bit, one in zip(bits, ones, strict=True):
            chance = chance * (one if bit else 1 - one)
        total = total + chance * TABLE[category, bits[0], bits[1]]
    return torch.cat(torch.autograd.grad(total, parameters))


def estimates(
    parameters: list[Tensor], control: nn.Module, count: int, shift: float = 0.0
) -> tuple[list[Tensor], Tensor]:
    """``count`` estimates of RELAX for each parameter, and (count, 5) of REINFORCE from the same draws."""
    rows = [parameter.detach().expand(count, -1).clone().requires_grad_() for parameter in parameters]
    category, bits = draw_category(rows[0], TEMPERATURE), draw_bits(rows[1], TEMPERATURE)
    first, second = bits.hard.long().unbind(dim=1)
    value = TABLE[category.hard, first, second][:, None] + shift
    log_probability = category.log_probability + bits.log_probability
    relaxed, given = (torch.cat([getattr(d, name) for d in (category, bits)], dim=1) for name in ('relaxed', 'given'))
    found = relax_gradient(value, log_probability, control(relaxed)[:, None], control(given)[:, None], rows)
    return found, value * torch.cat(torch.autograd.grad(log_probability, rows), dim=1)


def random_control() -> ControlVariate:
    """A function far from the losses."""
    control = ControlVariate(CATEGORIES + BITS, hidden=20)
    for parameter in control.parameters():
        nn.init.normal_(parameter, std=0.7)
    return control


@pytest.mark.parametrize('kind', ['random', 'zero'])
def test_mean_of_the_estimates_is_the_exact_gradient_whatever_the_control_variate_is(kind: str) -> None:
    parameters = logits()
    control = random_control() if kind == 'random' else ControlVariate(CATEGORIES + BITS)
    found = torch.cat(estimates(parameters, control, 200_000)[0], dim=1).detach()
    errors = found.std(dim=0) / len(found) ** 0.5
    assert errors.max() < 0.01
    exact = exact_gradient(parameters)
    assert ((found.mean(dim=0) - exact).abs() < 4 * errors).all()
    assert exact.abs().max() > 0.3


def test_without_a_control_variate_it_is_reinforce() -> None:
    relax, reinforce = estimates(logits(), ControlVariate(CATEGORIES + BITS), 20)
    torch.testing.assert_close(torch.cat(relax, dim=1), reinforce)


@pytest.mark.parametrize(('shift', 'part'), [(0.0, 0.85), (4.0, 0.3)])
@pytest.mark.slow
def test_trained_on_its_variance_the_control_variate_lowers_it_below_that_of_reinforce(
    shift: float, part: float
) -> None:
    parameters, control = logits(), ControlVariate(CATEGORIES + BITS)
    weights = list(control.parameters())
    optimizer = torch.optim.Adam(weights, lr=0.01)
    for _ in range(400):
        found, _ = estimates(parameters, control, 64, shift)
        for parameter, gradient in zip(weights, variance_gradients(found, weights), strict=True):
            parameter.grad = gradient
        optimizer.step()
    relax, reinforce = estimates(parameters, control, 20_000, shift)
    assert torch.cat(relax, dim=1).var(dim=0).sum() < part * reinforce.var(dim=0).sum()


def test_relaxed_draws_round_to_the_hard_one() -> None:
    first, second = (parameter.detach().expand(1000, -1) for parameter in logits())
    category, bits = draw_category(first, TEMPERATURE), draw_bits(second, TEMPERATURE)
    for relaxed in (category.relaxed, category.given):
        assert torch.equal(relaxed.argmax(dim=1), category.hard)
    for relaxed in (bits.relaxed, bits.given):
        assert torch.equal(relaxed > 0.5, bits.hard > 0)


def test_hard_draws_come_with_the_probabilities_of_the_logits() -> None:
    count, values = 100_000, [parameter.detach() for parameter in logits()]
    first, second = (value.expand(count, -1) for value in values)
    places, bits = draw_category(first, TEMPERATURE).hard, draw_bits(second, TEMPERATURE).hard
    found = torch.cat([torch.bincount(places, minlength=CATEGORIES) / count, bits.mean(dim=0)])
    expected = torch.cat([values[0].softmax(dim=0), values[1].sigmoid()])
    assert ((found - expected).abs() < 4 * (expected * (1 - expected) / count).sqrt()).all()


@pytest.mark.parametrize(('draw', 'place'), [(draw_category, 0), (draw_bits, 1)])
def test_both_relaxed_draws_have_one_distribution(draw: Callable[[Tensor, float], RelaxedDraw], place: int) -> None:
    count = 100_000
    found = draw(logits()[place].detach().expand(count, -1), TEMPERATURE)
    for power in (1, 2, 3):
        left, right = found.relaxed**power, found.given**power
        errors = ((left.var(dim=0) + right.var(dim=0)) / count).sqrt()
        assert ((left.mean(dim=0) - right.mean(dim=0)).abs() < 4 * errors).all()
