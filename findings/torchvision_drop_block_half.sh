#!/usr/bin/env bash
# torchvision 0.29.1 with torch 2.14.1: DropBlock of half precision features is zero.
#
# DropBlock drops squares and multiplies what is left by all / kept, so that the mean stays. drop_block2d sums the
# mask in the type of the features. float16 ends at 65,504: with more elements kept the sum is infinite, the factor is
# 0, and so are all features and all gradients, without a warning. That is a small map: 8 images of 64 channels and
# 14 x 14 positions have 100,352 elements. bfloat16 does not end there, but its sum is rounded.
# drop_block3d does the same. Remedy: call it on features.float().
#
# Output seen (mean of features that are 1 all over, and of their gradient):
#   float32,  32 channels: 1.0, gradient 1.0
#   float32,  64 channels: 1.0, gradient 1.0
#   float16,  32 channels: 1.0, gradient 1.0
#   float16,  64 channels: 0.0, gradient 0.0
#   bfloat16, 64 channels: 1.0, gradient 1.0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from torchvision.ops import drop_block2d, drop_block3d


def means(dtype, channels, function=drop_block2d, size=(14, 14)):
    """Mean of the output and of the gradient for features that are 1 all over."""
    torch.manual_seed(0)
    features = torch.ones(8, channels, *size, dtype=dtype, requires_grad=True)
    dropped = function(features, p=0.2, block_size=7)
    dropped.float().sum().backward()
    return tuple(round(value.float().mean().item(), 1) for value in (dropped.detach(), features.grad))


cases = [(torch.float32, 32), (torch.float32, 64), (torch.float16, 32), (torch.float16, 64), (torch.bfloat16, 64)]
seen = [means(*case) for case in cases]
for (dtype, channels), (mean, gradient) in zip(cases, seen, strict=True):
    print(f'{str(dtype)[6:] + ",":9} {channels} channels: {mean}, gradient {gradient}')
assert seen[:3] == [(1.0, 1.0)] * 3 and seen[4] == (1.0, 1.0)
assert seen[3] == (0.0, 0.0), 'the behaviour has changed'
assert means(torch.float16, 8, drop_block3d, (7, 14, 14)) == (0.0, 0.0), 'the behaviour has changed'
PY
