"""Derivatives of mixed warps of every order."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from mmdas.ops.affine import rotate_matrix, translate_x_matrix
from mmdas.ops.mixed_warps import mix_warps
from mmdas.ops.warp_operator import WarpOperator

FRAMES, SIZE = 2, (2, 2)
ROWS = FRAMES * SIZE[0] * SIZE[1]
# Few sums are made one by one, many together.
sums = pytest.mark.parametrize('sums', [1, 3, 6])


@pytest.fixture(scope='module')
def operator() -> WarpOperator:
    strengths = torch.tensor([10.0, -20.0], dtype=torch.float64)
    theta = [None, rotate_matrix(strengths, SIZE), translate_x_matrix(strengths / 100, SIZE)]
    return WarpOperator(theta, FRAMES, SIZE, dtype=torch.float64)


def make_inputs(sums: int) -> tuple[Tensor, Tensor]:
    shapes = ((ROWS, 2), (sums, 3))
    return tuple(torch.rand(shape, dtype=torch.float64).requires_grad_() for shape in shapes)


@sums
def test_first_and_second_derivatives_pass_the_numerical_check(operator: WarpOperator, sums: int) -> None:
    inputs = make_inputs(sums)
    assert gradcheck(lambda *args: mix_warps(*args, operator), inputs, check_batched_grad=True)
    assert gradgradcheck(lambda *args: mix_warps(*args, operator), inputs)


def test_third_derivative_passes_the_numerical_check(operator: WarpOperator) -> None:
    table, weights = make_inputs(1)

    def gradient(weights: Tensor) -> Tensor:
        loss = mix_warps(table, weights, operator)[0].pow(4).sum()
        return torch.autograd.grad(loss, weights, create_graph=True)[0]

    assert gradgradcheck(gradient, weights)


@sums
def test_second_derivative_is_that_of_the_dense_sum(operator: WarpOperator, sums: int) -> None:
    """Of a loss of all sums, in table, weights and a mixture of both, under autocast and for strided tables."""
    eye = torch.eye(3, dtype=torch.float64)
    dense = torch.stack(operator.mix(torch.eye(ROWS, dtype=torch.float64), eye))  # (K, rows, rows)
    table, weights = torch.rand(2, ROWS, dtype=torch.float64).t().requires_grad_(), make_inputs(sums)[1]

    def second(mixed: list[Tensor]) -> tuple[Tensor, ...]:
        loss = sum((index + 1) * part.pow(3).sum() for index, part in enumerate(mixed))
        first = torch.autograd.grad(loss, (table, weights), create_graph=True)
        return torch.autograd.grad(sum(grad.square().sum() for grad in first), (table, weights))

    with torch.autocast('cpu', torch.bfloat16):
        mixed = mix_warps(table, weights, operator)
    for actual, expected in zip(
        second(mixed), second(list((weights @ dense.flatten(1)).view(-1, ROWS, ROWS) @ table)), strict=True
    ):
        torch.testing.assert_close(actual, expected)


def test_plain_backward_pass_keeps_nothing(operator: WarpOperator) -> None:
    table, weights = make_inputs(3)
    grads = torch.autograd.grad(sum(part.sum() for part in mix_warps(table, weights, operator)), (table, weights))
    assert not any(grad.requires_grad for grad in grads)
