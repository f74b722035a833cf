#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: class weights of 1 change the cross entropy, and with avg_non_ignore they raise.
#
# Without class weights the loss is divided by the number of all pixels, ignored ones included. With class weights
# it is divided by the weights of the labelled pixels alone. So weights of 1, which should change nothing, multiply
# the loss by all / labelled pixels: by 2 here. avg_non_ignore=True is meant to choose that average, but with class
# weights it indexes a flat tensor with a mask of the image's shape and raises for every batch.
#
# Output seen:
#   no class weights:                 0.3466
#   class weights 1, 1:               0.6931
#   avg_non_ignore:                   0.6931
#   avg_non_ignore, class weights 1, 1: IndexError: too many indices for tensor of dimension 1
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmseg.models.losses import CrossEntropyLoss

scores = torch.zeros(1, 2, 2, 2)
labels = torch.tensor([[[0, 1], [255, 255]]])


def outcome(**settings):
    try:
        return round(CrossEntropyLoss(**settings)(scores, labels, ignore_index=255).item(), 4)
    except IndexError as error:
        return f'IndexError: {error}'


plain, ones = outcome(), outcome(class_weight=[1.0, 1.0])
labelled = outcome(avg_non_ignore=True)
both = outcome(avg_non_ignore=True, class_weight=[1.0, 1.0])
print('no class weights:                ', plain)
print('class weights 1, 1:              ', ones)
print('avg_non_ignore:                  ', labelled)
print('avg_non_ignore, class weights 1, 1:', both)
assert plain == 0.3466 and ones == labelled == 0.6931, 'the behaviour has changed'
assert str(both).startswith('IndexError'), 'the behaviour has changed'
PY
