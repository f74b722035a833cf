#!/usr/bin/env bash
# segmentation-models-pytorch 0.6.0: SoftCrossEntropyLoss shrinks with the pixels that are ignored.
#
# It leaves ignored pixels out of the sum, but divides by all pixels. With half of the pixels ignored the loss and its
# gradient are half as large, so that an image counts by its share of labels and the learning rate depends on the data
# set. torch's cross_entropy with the same label smoothing divides by the pixels that count, and so do the Dice, focal
# and Lovasz losses of the same package: their values stay.
# Also seen: FocalLoss('multiclass', gamma=0) is no cross entropy over the classes, but the mean of a binary one each.
#
# Output seen (loss of the labelled half alone, and of the image whose other half is ignored):
#   SoftCrossEntropyLoss 1.31, 0.65
#   torch cross_entropy 1.31, 1.31
#   DiceLoss 0.65, 0.65
#   FocalLoss 0.32, 0.32
#   FocalLoss without focus 0.81, cross entropy 1.38, binary cross entropy 0.81
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 timm==1.0.31 segmentation-models-pytorch==0.6.0

"$tmp/venv/bin/python" -W ignore - <<'PY'
from functools import partial

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import DiceLoss, FocalLoss, SoftCrossEntropyLoss

torch.manual_seed(0)
logits, labels = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
half = labels.clone()
half[:, :4] = 255
losses = {
    'SoftCrossEntropyLoss': SoftCrossEntropyLoss(smooth_factor=0.1, ignore_index=255),
    'torch cross_entropy': partial(F.cross_entropy, label_smoothing=0.1, ignore_index=255),
    'DiceLoss': DiceLoss('multiclass', ignore_index=255),
    'FocalLoss': FocalLoss('multiclass', ignore_index=255),
}
seen = {
    name: (loss(logits[:, :, 4:], labels[:, 4:]).item(), loss(logits, half).item()) for name, loss in losses.items()
}
for name, (alone, ignored) in seen.items():
    print(f'{name} {alone:.2f}, {ignored:.2f}')
no_focus = FocalLoss('multiclass', gamma=0)(logits, labels).item()
softmax = F.cross_entropy(logits, labels).item()
binary = F.binary_cross_entropy_with_logits(logits, F.one_hot(labels, 3).permute(0, 3, 1, 2).float()).item()
print(f'FocalLoss without focus {no_focus:.2f}, cross entropy {softmax:.2f}, binary cross entropy {binary:.2f}')


def close(left, right):
    return abs(left - right) < 1e-5 * abs(right)


others = [pair for name, pair in seen.items() if name != 'SoftCrossEntropyLoss']
assert all(close(*pair) for pair in others) and close(*seen['torch cross_entropy'])
alone, ignored = seen['SoftCrossEntropyLoss']
assert close(alone, seen['torch cross_entropy'][0])
assert close(2 * ignored, alone) and close(no_focus, binary) and not close(no_focus, softmax), 'the behaviour has changed'
PY
