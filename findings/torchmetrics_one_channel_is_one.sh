#!/usr/bin/env bash
# torchmetrics 1.9.0 with torch 2.14.1: the IoU and the Dice score of float masks of one channel are 1, right or wrong.
#
# MeanIoU, DiceScore and GeneralizedDiceScore (torchmetrics.segmentation) take the class of the largest value for float
# tensors, over the one channel that a binary mask has. That is class 0 everywhere, and its one-hot map is 1 everywhere.
# So a network with one output channel and masks in float, the usual pair for BCEWithLogitsLoss, scores 1 from the first
# step to the last. With labels in integers the prediction counts as 1 everywhere: the IoU is the share of the
# foreground. Nothing is warned of. Tensors of integers or booleans are right.
# Remedy: predictions > threshold, and labels.bool(); or torchmetrics.classification.BinaryJaccardIndex.
#
# Output seen (one quarter is foreground; the guess is right, or the opposite):
#   MeanIoU: float labels 1.0 1.0, integer labels 0.25 0.25, both boolean 1.0 0.0
#   DiceScore: float labels 1.0 1.0, integer labels 0.4 0.4, both boolean 1.0 0.0
#   GeneralizedDiceScore: float labels 1.0 1.0, integer labels 0.4 0.4, both boolean 1.0 0.0
#   BinaryJaccardIndex: float labels 1.0 0.0, integer labels 1.0 0.0, both boolean 1.0 0.0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 torchmetrics==1.9.0

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from torchmetrics.classification import BinaryJaccardIndex
from torchmetrics.segmentation import DiceScore, GeneralizedDiceScore, MeanIoU

labels = torch.zeros(2, 1, 8, 8)
labels[..., :4, :4] = 1
guesses = 0.8 * labels + 0.1, 0.9 - 0.8 * labels  # probabilities of 0.1 and 0.9: all right, all wrong


def scores(metric, convert_guess, convert_labels):
    return [round(metric(convert_guess(guess), convert_labels(labels)).item(), 2) for guess in guesses]


def same(values):
    return values


def foreground(values):
    return values > 0.5


seen = {}
for metric in (MeanIoU(1), DiceScore(1), GeneralizedDiceScore(1), BinaryJaccardIndex()):
    name = type(metric).__name__
    seen[name] = (
        scores(metric, same, same),
        scores(metric, same, torch.Tensor.long),
        scores(metric, foreground, foreground),
    )
    floats, integers, booleans = (f'{right} {wrong}' for right, wrong in seen[name])
    print(f'{name}: float labels {floats}, integer labels {integers}, both boolean {booleans}')
assert all(values[2] == [1, 0] for values in seen.values())
*wrong, binary = seen.values()
assert binary == ([1, 0],) * 3
assert all(values[0] == [1, 1] for values in wrong), 'the behaviour has changed'
assert [values[1] for values in wrong] == [[0.25, 0.25], [0.4, 0.4], [0.4, 0.4]], 'the behaviour has changed'
PY
