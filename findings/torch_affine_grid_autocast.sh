#!/usr/bin/env bash
# torch 2.13.0: under autocast even the identity warp moves pixels.
#
# affine_grid multiplies matrices, so autocast runs it in half precision. grid_sample is on autocast's float32
# list, and so the pair looks safe. But the grid is rounded before it is widened: bfloat16 has 8 bits for a
# coordinate in [-1, 1]. The image is a ramp whose value is its column, so the error is a shift in pixels.
# Remedy: build the grid inside torch.autocast(device, enabled=False).
#
# Output seen:
#   64 float32  torch.float32 torch.float32 7.62939453125e-06
#   64 autocast torch.bfloat16 torch.float32 0.060546875
#   256 float32  torch.float32 torch.float32 3.0517578125e-05
#   256 autocast torch.bfloat16 torch.float32 0.2461090087890625
#   1024 float32  torch.float32 torch.float32 0.0001220703125
#   1024 autocast torch.bfloat16 torch.float32 0.99810791015625
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
import torch.nn.functional as F


def shift(size, autocast):
    """Largest shift in pixels that the identity causes."""
    ramp = torch.arange(size, dtype=torch.float32).expand(1, 1, size, size)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        grid = F.affine_grid(torch.eye(2, 3)[None], ramp.shape, align_corners=True)
        warped = F.grid_sample(ramp, grid, align_corners=True)
    return grid.dtype, warped.dtype, (warped - ramp).abs().max().item()


for size in (64, 256, 1024):
    print(size, 'float32 ', *shift(size, False))
    print(size, 'autocast', *shift(size, True))
grid_type, _, pixels = shift(1024, True)
assert shift(1024, False)[2] < 1e-3
assert grid_type == torch.bfloat16 and pixels > 0.9, 'the behaviour has changed'
PY
