#!/usr/bin/env bash
# segmentation-models-pytorch 0.6.0: Dice, Jaccard and Tversky losses shrink with the classes that a batch lacks.
#
# In multiclass mode the loss of a class without a pixel in the batch is set to 0, but the mean still counts that class.
# With 2 of 21 classes in a batch, as is common in VOC, the loss is 2/21 of what it is for a model of those two classes,
# and so is its gradient: beside a cross entropy it hardly counts, and the more classes a data set has, the less. A
# guess that is wrong at each pixel costs 0.1, not 1. A batch with all classes weighs ten times as much. LovaszLoss
# leaves absent classes out as well, but averages over those that are there.
# Remedy: multiply by the number of classes over the number that the batch has.
#
# Output seen (two classes in the labels, the same logits for them and -20 for all other classes):
#   DiceLoss: 2 classes 0.50, 4 classes 0.25, 21 classes 0.05
#   JaccardLoss: 2 classes 0.66, 4 classes 0.33, 21 classes 0.06
#   TverskyLoss: 2 classes 0.50, 4 classes 0.25, 21 classes 0.05
#   LovaszLoss: 2 classes 0.60, 4 classes 0.60, 21 classes 0.60
#   DiceLoss of a guess that is wrong everywhere: 2 classes 1.00, 4 classes 0.50, 21 classes 0.10
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 timm==1.0.31 segmentation-models-pytorch==0.6.0

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from segmentation_models_pytorch.losses import DiceLoss, JaccardLoss, LovaszLoss, TverskyLoss

torch.manual_seed(0)
labels = torch.randint(0, 2, (2, 16, 16))
of_two = torch.randn(2, 2, 16, 16)
wrong = 20 - 40.0 * torch.nn.functional.one_hot(labels, 2).movedim(-1, 1)


def among(num_classes, logits):
    """The logits of two classes, and classes that the model is sure are not there."""
    return torch.cat([logits, torch.full((2, num_classes - 2, 16, 16), -20.0)], dim=1)


def values(loss, logits):
    return [loss('multiclass')(among(num_classes, logits), labels).item() for num_classes in (2, 4, 21)]


seen = {loss.__name__: values(loss, of_two) for loss in (DiceLoss, JaccardLoss, TverskyLoss, LovaszLoss)}
seen['DiceLoss of a guess that is wrong everywhere'] = values(DiceLoss, wrong)
for name, (two, four, many) in seen.items():
    print(f'{name}: 2 classes {two:.2f}, 4 classes {four:.2f}, 21 classes {many:.2f}')


def close(left, right):
    return abs(left - right) < 2e-3 * abs(right)


two, four, many = seen.pop('LovaszLoss')
assert close(four, two) and close(many, two)
for two, four, many in seen.values():
    assert close(2 * four, two), 'the behaviour has changed'
    assert abs(21 * many - 2 * two) < 0.01, 'the behaviour has changed'
PY
