#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: class weights of the sigmoid cross entropy weigh columns of the image.
#
# CrossEntropyLoss(use_sigmoid=True, class_weight=...) hands the weights to torch as pos_weight, which torch
# broadcasts along the last axis. For (N, C, H, W) scores that is the width. So the loss raises for most images,
# and where the width equals the number of classes it silently weighs columns. The labels below are class 1 all
# over: with the weights 1 and 10 each pixel should have the same gradient.
#
# Output seen:
#   width 2: [-0.0625, -0.625]
#   width 3: RuntimeError: The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 3
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


def gradient(width):
    """Gradient of the scores of class 1 along a row."""
    scores = torch.zeros(1, 2, 2, width, requires_grad=True)
    loss = CrossEntropyLoss(use_sigmoid=True, class_weight=[1.0, 10.0])
    try:
        loss(scores, torch.ones(1, 2, width, dtype=torch.long), ignore_index=255).backward()
        return scores.grad[0, 1, 0].tolist()
    except RuntimeError as error:
        return f'RuntimeError: {error}'


print('width 2:', gradient(2))
print('width 3:', gradient(3))
left, right = gradient(2)
assert right == 10 * left and 'must match the size' in gradient(3), 'the behaviour has changed'
PY
