#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: OHEMPixelSampler divides the loss of the hard pixels by all pixels.
#
# The sampler gives hard pixels the weight 1 and all others 0. CrossEntropyLoss multiplies by the weights and takes the
# mean over all pixels, also with avg_non_ignore=True. With 3 % of the pixels hard the loss and its gradient are 3 % of
# their mean: the better the model gets, the smaller its steps, down to the share of min_kept. OhemCrossEntropy of the
# same package takes the mean of the pixels that it keeps. TverskyLoss and LovaszLoss take the weights and leave them
# aside, so that a sampler changes nothing for them; DiceLoss ends in an AssertionError.
# Also seen: where the class is certain for all pixels (a softmax of 1.0), OhemCrossEntropy keeps none and is NaN.
# Remedy: OhemCrossEntropy, or a loss_weight that was chosen with the sampler on.
#
# Output seen (32 of 1024 pixels are hard):
#   mean over the hard pixels: 1.12
#   CrossEntropyLoss with the sampler: 0.035, with avg_non_ignore: 0.035, times 1024 / 32: 1.12
#   OhemCrossEntropy: 1.12, where all is certain nan
#   TverskyLoss: 0.03, with the sampler 0.03
#   LovaszLoss: 0.04, with the sampler 0.04
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from mmseg.models.losses import CrossEntropyLoss, LovaszLoss, OhemCrossEntropy, TverskyLoss
from mmseg.structures import OHEMPixelSampler

torch.manual_seed(0)
labels = torch.randint(0, 3, (1, 32, 32))
certain = F.one_hot(labels, 3).movedim(-1, 1).float()
logits = 6 * certain
logits[:, :, 0] = torch.randn(1, 3, 32) / 10  # the first row is hard
head = SimpleNamespace(ignore_index=255, loss_decode=CrossEntropyLoss())
weight = OHEMPixelSampler(head, thresh=0.7, min_kept=10).sample(logits, labels[:, None])
assert weight.sum() == weight[:, 0].sum() == 32


def value(loss, logits=logits, **options):
    """What a head of MMSegmentation computes with that loss."""
    return loss(logits, labels, **options).item()


ohem = OhemCrossEntropy(thres=0.7, min_kept=10)
hard = F.cross_entropy(logits[:, :, 0], labels[:, 0]).item()
sampled, averaged = (
    value(CrossEntropyLoss(avg_non_ignore=flag), weight=weight, ignore_index=255) for flag in (False, True)
)
print(f'mean over the hard pixels: {hard:.2f}')
print(f'CrossEntropyLoss with the sampler: {sampled:.3f}, with avg_non_ignore: {averaged:.3f}, ', end='')
print(f'times 1024 / 32: {32 * sampled:.2f}')
print(f'OhemCrossEntropy: {value(ohem):.2f}, where all is certain {value(OhemCrossEntropy(), 30 * certain)}')
others = {}
for loss in (TverskyLoss(), LovaszLoss(reduction='none')):
    name = type(loss).__name__
    others[name] = value(loss, ignore_index=255), value(loss, weight=weight, ignore_index=255)
    print(f'{name}: {others[name][0]:.2f}, with the sampler {others[name][1]:.2f}')
assert abs(value(ohem) - hard) < 1e-4
assert abs(32 * sampled - hard) < 1e-4 and averaged == sampled, 'the behaviour has changed'
assert all(plain == sampled for plain, sampled in others.values()), 'the behaviour has changed'
PY
