#!/usr/bin/env bash
# torch 2.13.0: a second derivative through an @once_differentiable backward is silently too small.
#
# The decorator promises an error when someone differentiates twice. It hangs the error on a node that leads to
# none of the inputs. .backward() visits that node and raises. torch.autograd.grad with named inputs skips it and
# returns a number with the term left out.
#
# loss = (3 w)^3 + w^2 at w = 2 has the second derivative 162 w + 2 = 326.
#
# Output seen:
#   torch.autograd.grad, torch.mul:           326.0
#   torch.autograd.grad, once_differentiable: 2.0
#   .backward(), once_differentiable:         trying to differentiate twice a function that was marked with
#     @once_differentiable
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from torch.autograd.function import once_differentiable


class Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        a, b = ctx.saved_tensors
        return gradient * b, gradient * a


def first_derivative(multiply):
    w = torch.tensor(2.0, requires_grad=True)
    loss = multiply(torch.tensor(3.0), w) ** 3 + w**2
    return w, torch.autograd.grad(loss, w, create_graph=True)[0]


def second_derivative(multiply):
    w, first = first_derivative(multiply)
    return torch.autograd.grad(first, w)[0].item()


right, wrong = second_derivative(torch.mul), second_derivative(Multiply.apply)
print('torch.autograd.grad, torch.mul:          ', right)
print('torch.autograd.grad, once_differentiable:', wrong)
try:
    first_derivative(Multiply.apply)[1].backward()
    message = None
except RuntimeError as error:
    message = str(error)
print('.backward(), once_differentiable:        ', message)
assert right == 326 and wrong == 2 and 'once_differentiable' in message, 'the behaviour has changed'
PY
