#!/usr/bin/env bash
# torch 2.14.1, onnxscript 0.7.2: ONNX export of torch.linalg.inv fails, even for 2 x 2 matrices.
#
# torch.export records it, and the exported program runs. The translation to ONNX then stops: there is no function for
# aten.linalg_inv_ex. The first line of the message names the step and not the operator; that is in __cause__.
# Remedy: write the inverse of a 2 x 2 matrix out, by its adjugate and determinant.
#
# Output seen:
#   torch.export 0.0
#   ConversionError Failed to convert the exported program to an ONNX model.
#   DispatchError No ONNX function found for <OpOverload(op='aten.linalg_inv_ex', overload='default')>.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch


class Inverse(torch.nn.Module):
    def forward(self, matrices):
        return torch.linalg.inv(matrices)


matrices = torch.eye(2) + 0.1 * torch.rand(3, 2, 2)
program = torch.export.export(Inverse(), (matrices,), strict=False)
print('torch.export', (program.module()(matrices) - torch.linalg.inv(matrices)).abs().max().item())
try:
    torch.onnx.export(program, dynamo=True, verbose=False)
except Exception as error:
    first = error
else:
    raise AssertionError('the behaviour has changed: torch.linalg.inv is exported')
print(type(first).__name__, str(first).split('\n')[0].split('\x1b')[0])
while first.__cause__ is not None:
    first = first.__cause__
print(type(first).__name__, str(first).split(' Failure')[0])
assert 'linalg_inv' in str(first), 'the behaviour has changed'
PY
