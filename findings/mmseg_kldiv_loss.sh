#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: KLDivLoss is negative for equal scores, and it does not lead to the teacher.
#
# torch's kl_div takes the logarithm of the student's probabilities. KLDivLoss hands it the probabilities themselves
# (softmax, not log_softmax). The loss is then linear in them. Its minimum is not the teacher's distribution but all
# weight on the teacher's best class, whatever the temperature. (reduction='mean' gives a value for each image.)
# Remedy: torch's kl_div with log_softmax.
#
# Output seen:
#   equal scores:      KLDivLoss -1.2511, torch 0.0
#   the teacher:                  [0.844, 0.114, 0.042]
#   trained with KLDivLoss:       [1.0, 0.0, 0.0]
#   trained with torch's kl_div:  [0.844, 0.114, 0.042]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
import torch.nn.functional as F
from mmseg.models.losses.kldiv_loss import KLDivLoss

teacher = torch.tensor([[2.0, 0.0, -1.0]])


def mmseg_loss(scores):
    return KLDivLoss(reduction='sum')(scores, teacher).sum()


def torch_loss(scores):
    return F.kl_div(F.log_softmax(scores, 1), F.softmax(teacher, 1), reduction='sum')


def trained(loss):
    """Probabilities of a student that starts at equal scores."""
    scores = torch.zeros(1, 3, requires_grad=True)
    optimizer = torch.optim.SGD([scores], lr=5.0)
    for _ in range(3000):
        optimizer.zero_grad()
        loss(scores).backward()
        optimizer.step()
    return rounded(scores)


def rounded(scores):
    return [round(value, 3) for value in scores.softmax(1)[0].tolist()]


at_teacher = [round(loss(teacher).item(), 4) + 0.0 for loss in (mmseg_loss, torch_loss)]
by_mmseg, by_torch = trained(mmseg_loss), trained(torch_loss)
print('equal scores:      KLDivLoss {}, torch {}'.format(*at_teacher))
print('the teacher:                 ', rounded(teacher))
print('trained with KLDivLoss:      ', by_mmseg)
print("trained with torch's kl_div: ", by_torch)
assert at_teacher[1] == 0 and by_torch == rounded(teacher)
assert at_teacher[0] < -1 and by_mmseg == [1.0, 0.0, 0.0], 'the behaviour has changed'
PY
