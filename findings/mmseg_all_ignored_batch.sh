#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: three losses meet a batch without labels (all 255) in three ways.
#
# Unlabelled images are common in sparse or cropped data. Softmax cross entropy gives 0. Sigmoid cross entropy
# with one channel raises, since it takes the maximum of no labels; with two channels it gives 0.
# LovaszLoss(per_image=True) gives NaN, and raises when only some images of the batch have no labels.
#
# Output seen:
#   softmax, 2 channels: 0.0
#   sigmoid, 2 channels: 0.0
#   sigmoid, 1 channel: RuntimeError: max(): Expected reduction dim to be specified for input.numel() == 0. Specify
#     the reduction dim with the 'dim' argument.
#   Lovasz, no labels: nan
#   Lovasz, one image with labels: RuntimeError: stack expects each tensor to be equal size, but got [] at entry 0 and
#     [0, 2] at entry 1
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmseg.models.losses import CrossEntropyLoss, LovaszLoss

empty = torch.full((2, 4, 4), 255)
half = empty.clone()
half[0] = 0


def outcome(loss, channels, label):
    try:
        return str(loss(torch.zeros(2, channels, 4, 4), label, ignore_index=255).item())
    except RuntimeError as error:
        return f'RuntimeError: {error}'


seen = {
    'softmax, 2 channels': outcome(CrossEntropyLoss(), 2, empty),
    'sigmoid, 2 channels': outcome(CrossEntropyLoss(use_sigmoid=True), 2, empty),
    'sigmoid, 1 channel': outcome(CrossEntropyLoss(use_sigmoid=True), 1, empty),
    'Lovasz, no labels': outcome(LovaszLoss(per_image=True), 2, empty),
    'Lovasz, one image with labels': outcome(LovaszLoss(per_image=True), 2, half),
}
for name, text in seen.items():
    print(f'{name}: {text}')
values = list(seen.values())
assert values[:2] == ['0.0', '0.0'] and values[2].startswith('RuntimeError: max()')
assert values[3] == 'nan' and values[4].startswith('RuntimeError: stack'), 'the behaviour has changed'
PY
