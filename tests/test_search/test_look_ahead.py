import pytest
import torch

from mmdas.search.look_ahead import look_ahead_gradient, shifted


@pytest.fixture
def problem():
    """Losses |A w - B p - batch|^2: their mixed derivatives are constant."""
    weights, policy = (torch.randn(count, dtype=torch.float64, requires_grad=True) for count in (5, 3))
    left, right = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    batches = torch.randn(2, 4, dtype=torch.float64)

    def loss_at(w, p, batch):
        return (left @ w - right @ p - batch).square().sum()

    return weights, policy, batches, loss_at


def look_ahead(problem, rates: list[float]) -> tuple[list[torch.Tensor], torch.Tensor]:
    weights, policy, (train, held_out), loss_at = problem
    return look_ahead_gradient(
        lambda batch: loss_at(weights, policy, batch), train, held_out, [policy], [weights], rates
    )


def test_gradient_equals_the_derivative_through_the_step(problem):
    weights, policy, (train, held_out), loss_at = problem
    (step,) = torch.autograd.grad(loss_at(weights, policy, train), weights, create_graph=True)
    loss = loss_at(weights - 0.03 * step, policy, held_out)
    gradients, value = look_ahead(problem, [0.03])
    torch.testing.assert_close(value, loss.detach())
    torch.testing.assert_close(gradients, list(torch.autograd.grad(loss, policy)), rtol=1e-8, atol=1e-8)


def test_each_tensor_of_the_weights_has_its_own_rate():
    first, second, policy = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (1.0, 2.0, 3.0))

    def loss(batch, a=first, b=second):
        return (a * policy - batch).square() + (b * policy.square() - batch).square()

    step = torch.autograd.grad(loss(1.0), (first, second), create_graph=True)
    (expected,) = torch.autograd.grad(loss(2.0, first - 0.01 * step[0], second - 0.001 * step[1]), policy)
    (found,), _ = look_ahead_gradient(loss, 1.0, 2.0, [policy], [first, second], [0.01, 0.001])
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_without_a_step_it_is_the_held_out_gradient(problem):
    weights, policy, (_, held_out), loss_at = problem
    expected = torch.autograd.grad(loss_at(weights, policy, held_out), policy)
    torch.testing.assert_close(look_ahead(problem, [0.0])[0], list(expected))


def test_a_tensor_that_the_loss_does_not_depend_on_changes_nothing(problem):
    weights, policy, (train, held_out), loss_at = problem
    idle = torch.ones(2, dtype=torch.float64, requires_grad=True)

    def loss(batch):
        return loss_at(weights, policy, batch)

    found, _ = look_ahead_gradient(loss, train, held_out, [policy, idle], [weights, idle], [0.03, 0.03])
    torch.testing.assert_close(found[0], look_ahead(problem, [0.03])[0][0])
    assert torch.equal(found[1], torch.zeros_like(idle))


def test_weights_are_exactly_as_before(problem):
    before = problem[0].detach().clone()
    look_ahead(problem, [0.1])
    assert torch.equal(problem[0], before)


def test_a_shift_ends_with_an_error_inside():
    weights = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError), shifted([weights], [torch.ones(2)]):
        raise RuntimeError
    assert torch.equal(weights, torch.ones(2))
