#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: FocalLoss cannot be computed on a CPU from label maps.
#
# The CPU branch takes column `num_classes` of the one-hot labels where it means the columns up to it, so that each
# (N, C, H, W) prediction with (N, H, W) labels raises, for one channel as for several. The CUDA branch slices
# rightly. One-hot labels of the prediction's shape work. A test of a focal config on a CPU therefore fails.
#
# Output seen:
#   1 channel:  ValueError: Target size (torch.Size([4])) must be the same as input size (torch.Size([4, 1]))
#   2 channels: RuntimeError: The size of tensor a (2) must match the size of tensor b (4) at non-singleton dimension
#     1
#   3 channels: RuntimeError: The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension
#     1
#   2 channels, one-hot labels: 0.0866
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmseg.models.losses import FocalLoss


def outcome(channels, labels):
    try:
        return round(FocalLoss()(torch.zeros(1, channels, 2, 2), labels).item(), 4)
    except (RuntimeError, ValueError) as error:
        return f'{type(error).__name__}: {error}'


labels = torch.tensor([[[0, 1], [1, 0]]])
one, two, three = (outcome(channels, labels) for channels in (1, 2, 3))
one_hot = outcome(2, torch.stack([1 - labels, labels], dim=1))
print('1 channel: ', one)
print('2 channels:', two)
print('3 channels:', three)
print('2 channels, one-hot labels:', one_hot)
assert isinstance(one_hot, float)
assert all('Error' in str(text) for text in (one, two, three)), 'the behaviour has changed'
PY
