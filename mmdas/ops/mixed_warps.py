"""Weighted sums of the warps of a :class:`WarpOperator` with derivatives of every order.

For tables x, weights w and tables y_f the form sum_fk w_fk <y_f, warp_k(x)> is linear in each of its three arguments.
Its derivatives by y, by x and by w are the three functions here, and the derivatives of each are the other two.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .warp_operator import WarpOperator


def mix_warps(table: Tensor, weights: Tensor, operator: WarpOperator) -> tuple[Tensor, ...]:
    """Weighted sums of warps, differentiable in table and weights any number of times.

    Nothing but its arguments is kept for the backward pass.

    Args:
        table: (G*H*W, D), of the operator's dtype and on its device.
        weights: (F, K) of the same dtype.
        operator: K warps.

    Returns:
        F tables (G*H*W, D).
    """
    return _Mix.apply(table, weights, operator)


class _Mix(Function):
    """The derivative by y: :meth:`WarpOperator.mix`."""

    @staticmethod
    def forward(table: Tensor, weights: Tensor, operator: WarpOperator) -> tuple[Tensor, ...]:
        with torch.autocast(table.device.type, enabled=False):
            return operator.mix(table.contiguous(), weights)  # embedding_bag is ten times slower with strides

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
        table, weights, ctx.operator = inputs
        ctx.save_for_backward(table if ctx.needs_input_grad[1] else None, weights)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        table, weights = ctx.saved_tensors
        to_table = _MixTransposed.apply(weights, ctx.operator, *grads) if ctx.needs_input_grad[0] else None
        to_weights = _Correlate.apply(table, ctx.operator, *grads) if ctx.needs_input_grad[1] else None
        return to_table, to_weights, None


class _MixTransposed(Function):
    """The derivative by x: :meth:`WarpOperator.mix_transposed`."""

    @staticmethod
    def forward(weights: Tensor, operator: WarpOperator, *tables: Tensor) -> Tensor:
        with torch.autocast(weights.device.type, enabled=False):
            return operator.mix_transposed([table.contiguous() for table in tables], weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        weights, ctx.operator, *tables = inputs
        ctx.save_for_backward(weights, *tables)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weights, *tables = ctx.saved_tensors
        to_weights = _Correlate.apply(grad, ctx.operator, *tables) if ctx.needs_input_grad[0] else None
        return to_weights, None, *_Mix.apply(grad, weights, ctx.operator)


class _Correlate(Function):
    """The derivative by w: :meth:`WarpOperator.correlate`."""

    @staticmethod
    def forward(table: Tensor, operator: WarpOperator, *others: Tensor) -> Tensor:
        with torch.autocast(table.device.type, enabled=False):
            return operator.correlate(table.contiguous(), [other.contiguous() for other in others])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        table, ctx.operator, *others = inputs
        ctx.save_for_backward(table, *others)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        table, *others = ctx.saved_tensors
        to_table = _MixTransposed.apply(grad, ctx.operator, *others) if ctx.needs_input_grad[0] else None
        return to_table, None, *_Mix.apply(table, grad, ctx.operator)
