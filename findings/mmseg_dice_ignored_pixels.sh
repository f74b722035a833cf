#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: DiceLoss trains on pixels that are to be ignored.
#
# Its ignore_index names a channel to leave out, not a label. A pixel with the label 255 gets a target of zeros,
# but its prediction still counts in the denominator: the loss pushes all its classes down. TverskyLoss and the
# cross entropy leave such pixels alone. Below: the largest gradient at an ignored pixel.
#
# Output seen:
#   {'CrossEntropyLoss': 0.0, 'TverskyLoss': 0.0, 'DiceLoss': 0.0312}
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmseg.models.losses import CrossEntropyLoss, DiceLoss, TverskyLoss

labels = torch.tensor([[[0, 1], [255, 255]]])


def gradient_at_ignored(loss):
    scores = torch.zeros(1, 2, 2, 2, requires_grad=True)
    loss(scores, labels, ignore_index=255).backward()
    return round(scores.grad[0, :, 1].abs().max().item(), 4)


seen = {type(loss).__name__: gradient_at_ignored(loss) for loss in (CrossEntropyLoss(), TverskyLoss(), DiceLoss())}
print(seen)
assert seen['CrossEntropyLoss'] == seen['TverskyLoss'] == 0
assert seen['DiceLoss'] > 0.01, 'the behaviour has changed'
PY
