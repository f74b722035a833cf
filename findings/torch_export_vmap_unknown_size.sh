#!/usr/bin/env bash
# torch 2.14.1: torch.export cannot record torch.vmap over a dimension of unknown size, whatever the function is.
#
# With a fixed size the same module is recorded. The message speaks of a fake tensor in the list of constants and names
# no line of the module.
# Remedy: no vmap over the batch in code that is exported for any batch size.
#
# Output seen:
#   fixed 0.0
#   any size: RuntimeError We found a fake tensor in the exported program constant's list.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile torch==2.14.1 numpy==2.4.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from torch.export import Dim


class Doubled(torch.nn.Module):
    def forward(self, images):
        return torch.vmap(lambda image: 2 * image, in_dims=1, out_dims=1)(images)


images = torch.rand(2, 3, 4)
program = torch.export.export(Doubled(), (images,), strict=False)
print('fixed', (program.module()(images) - 2 * images).abs().max().item())
try:
    torch.export.export(Doubled(), (images,), dynamic_shapes=({1: Dim('batch', min=1)},), strict=False)
except RuntimeError as error:
    print('any size:', type(error).__name__, str(error).split(' This typically')[0])
    assert 'fake tensor' in str(error), 'the behaviour has changed'
else:
    raise AssertionError('the behaviour has changed: vmap over an unknown size is recorded')
PY
