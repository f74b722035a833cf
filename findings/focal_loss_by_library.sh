#!/usr/bin/env bash
# kornia 0.9.0, monai 1.6.1, segmentation-models-pytorch 0.6.0 with torch 2.14.1: three focal losses of label maps.
#
# The focal loss is the cross entropy with the weight (1 - p) ** gamma for each pixel; with gamma=0 it is the cross
# entropy. focal_loss of kornia and FocalLoss(use_softmax=True) of monai have that in each pixel, at the channel of its
# label, and 0 in the other channels. reduction='mean' then takes the mean over the channels as well: with C classes the
# loss and its gradient are 1 / C of what they are by the formula. With the 19 classes of Cityscapes a sum of cross
# entropy and focal loss is cross entropy with 5 % of the other, with 150 classes below 1 %. A learning rate found with
# one number of classes is wrong for another.
# FocalLoss('multiclass') of smp, and monai's by default, take the sigmoid of each channel, whatever the mode is called:
# C two-class problems. At the start of a training with 150 classes nearly all of it is of classes that are not there.
# Remedy: reduction='sum' or 'none' and a division by the labelled pixels.
#
# Output seen (gamma=0, so that all but the sigmoid should be the cross entropy; after it the loss of gamma=2):
#   2 classes, cross entropy 0.988:
#     formula 0.988 0.561; kornia 0.494 0.280; monai, softmax 0.494 0.280; monai 0.845 0.379; smp 0.845 0.379
#   19 classes, cross entropy 3.359:
#     formula 3.359 3.099; kornia 0.177 0.163; monai, softmax 0.177 0.163; monai 0.799 0.342; smp 0.799 0.342
#   150 classes, cross entropy 5.578:
#     formula 5.578 5.522; kornia 0.037 0.037; monai, softmax 0.037 0.037; monai 0.806 0.346; smp 0.806 0.346
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 timm==1.0.31 \
    segmentation-models-pytorch==0.6.0 kornia==0.9.0 monai==1.6.1

"$tmp/venv/bin/python" -W ignore - <<'PY'
import segmentation_models_pytorch
import torch
from kornia.losses import focal_loss
from monai.losses import FocalLoss
from torch.nn import functional


def by_formula(scores, labels, gamma):
    """Mean over the pixels."""
    log_share = scores.log_softmax(1).gather(1, labels[:, None])
    return -((1 - log_share.exp()) ** gamma * log_share).mean()


def kornia(scores, labels, gamma):
    return focal_loss(scores, labels, alpha=None, gamma=gamma, reduction='mean')


def monai_softmax(scores, labels, gamma):
    return FocalLoss(to_onehot_y=True, gamma=gamma, use_softmax=True)(scores, labels[:, None])


def monai_default(scores, labels, gamma):
    return FocalLoss(to_onehot_y=True, gamma=gamma)(scores, labels[:, None])


def smp(scores, labels, gamma):
    return segmentation_models_pytorch.losses.FocalLoss('multiclass', gamma=gamma)(scores, labels)


losses = {
    'formula': by_formula,
    'kornia': kornia,
    'monai, softmax': monai_softmax,
    'monai': monai_default,
    'smp': smp,
}
for classes in (2, 19, 150):
    torch.manual_seed(0)
    scores, labels = torch.randn(2, classes, 16, 16), torch.randint(classes, (2, 16, 16))
    one_hot = functional.one_hot(labels, classes).movedim(-1, 1)
    cross_entropy = functional.cross_entropy(scores, labels)
    two_class = functional.binary_cross_entropy_with_logits(scores, one_hot.float())
    plain = {name: loss(scores, labels, 0.0) for name, loss in losses.items()}
    focal = {name: loss(scores, labels, 2.0) for name, loss in losses.items()}
    print(
        f'{classes} classes, cross entropy {cross_entropy:.3f}:',
        '; '.join(f'{name} {plain[name]:.3f} {focal[name]:.3f}' for name in losses),
    )
    assert torch.isclose(plain['formula'], cross_entropy, rtol=1e-4)
    for name in ('kornia', 'monai, softmax'):
        assert torch.isclose(plain[name], cross_entropy / classes, rtol=1e-3), 'the behaviour has changed'
        assert torch.isclose(focal[name], focal['formula'] / classes, rtol=1e-3), 'the behaviour has changed'
    for name in ('monai', 'smp'):
        assert torch.isclose(plain[name], two_class, rtol=1e-3), 'the behaviour has changed'
PY
