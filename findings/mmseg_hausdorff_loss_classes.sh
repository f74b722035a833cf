#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: HuasdorffDisstanceLoss cannot tell one class of objects from another.
#
# For each class the loss compares the probability with the label map itself, so with the number of the class: a
# pixel of class 2 asks for a probability of 2, of class 1 as well as of class 2. The distance maps are those of
# "not background", the same for all classes. So the wrong class costs what the right one costs, and one half of each
# costs less. Two classes (0 and 1) are right. Class weights never pass the check of the loss
# (class_weight.ndim == number of classes). The image is background with a square of one class.
#
# Output seen:
#   two classes, the square is class 1: right 0.0, half and half 0.1113
#   three classes, the square is class 2: right 2.9688, wrong 2.9688, half and half 2.6719
#   class weights 1, 1, 1: AssertionError
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 scipy==1.17.1 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 \
    onedl-mmsegmentation==1.4.2 opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmseg.models.losses import HuasdorffDisstanceLoss

SQUARE = slice(2, 7)


def labels(square):
    image = torch.zeros(1, 8, 8, dtype=torch.long)
    image[:, SQUARE, SQUARE] = square
    return image


def loss(square, probabilities, **settings):
    """Loss of a guess with these probabilities in the square and background all around it."""
    scores = torch.full((1, len(probabilities), 8, 8), -100.0)
    scores[:, 0] = 0
    scores[:, :, SQUARE, SQUARE] = torch.tensor(probabilities).log().clamp(min=-100)[None, :, None, None]
    return round(HuasdorffDisstanceLoss(**settings)(scores, labels(square)).item(), 4)


def weighted():
    try:
        return loss(2, [0.0, 0.0, 1.0], class_weight=[1.0, 1.0, 1.0])
    except AssertionError:
        return 'AssertionError'


two = loss(1, [0.0, 1.0]), loss(1, [0.5, 0.5])
three = loss(2, [0.0, 0.0, 1.0]), loss(2, [0.0, 1.0, 0.0]), loss(2, [0.0, 0.5, 0.5])
print('two classes, the square is class 1: right {}, half and half {}'.format(*two))
print('three classes, the square is class 2: right {}, wrong {}, half and half {}'.format(*three))
print('class weights 1, 1, 1:', weighted())
assert two[0] == 0 < two[1]
assert three[0] == three[1] > three[2] > 0 and weighted() == 'AssertionError', 'the behaviour has changed'
PY
