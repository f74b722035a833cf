#!/usr/bin/env bash
# onedl-mmengine 0.10.12: with convert_to_iter_based ExponentialLR decays in each iteration by the factor of an epoch.
#
# A schedule in epochs with convert_to_iter_based=True is to be the same curve in smaller steps. MMEngine multiplies
# begin, end, T_max, periods, milestones and step_size by the number of iterations of an epoch. ExponentialLR has but
# begin and end of these: its gamma stays and counts for each iteration. gamma=0.9 with 100 iterations an epoch leaves
# 0.00003 of the learning rate after the first epoch, and the training stands still without an error. The schedulers
# with milestones, step_size, periods or T_max keep their curve. ExponentialMomentum and ExponentialParamScheduler are
# as ExponentialLR.
# Also seen: in epochs, without the conversion, PolyLR and LinearLR reach their last value one epoch before their end.
# PolyLR(end=max_epochs, eta_min=0) so trains the whole last epoch with a rate of 0; PyTorch's PolynomialLR does not.
# Remedy: gamma ** (1 / iterations of an epoch) with by_epoch=False; for the last epoch the conversion, or end + 1.
#
# Output seen (learning rate at the start of epochs 1 to 6; 100 iterations an epoch):
#   ExponentialLR by epoch:  1.000 0.900 0.810 0.729 0.656 0.590
#   ExponentialLR converted: 1.000 0.000 0.000 0.000 0.000 0.000, after one epoch 2.7e-05
#   CosineAnnealingLR:       1.000 0.933 0.750 0.500 0.250 0.067, converted the same: True
#   StepLR:                  1.000 1.000 0.100 0.100 0.010 0.010, converted the same: True
#   PolyLR by epoch:         1.000 0.800 0.600 0.400 0.200 0.000
#   PolynomialLR of PyTorch: 1.000 0.833 0.667 0.500 0.333 0.167
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmengine.optim import ExponentialLR
from mmengine.registry import PARAM_SCHEDULERS

EPOCHS, ITERATIONS = 6, 100
assert ExponentialLR in PARAM_SCHEDULERS.module_dict.values()


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rates(converted, **config):
    """Learning rate at the start of each epoch, of a scheduler as the runner builds it."""
    sgd = optimizer()
    config |= {'convert_to_iter_based': True} if converted else {}
    scheduler = PARAM_SCHEDULERS.build(config, default_args={'optimizer': sgd, 'epoch_length': ITERATIONS})
    found = []
    for _ in range(EPOCHS):
        found.append(sgd.param_groups[0]['lr'])
        for _ in range(ITERATIONS if converted else 1):
            sgd.step()
            scheduler.step()
    return found


def text(values):
    return ' '.join(f'{value:.3f}' for value in values)


def equal(one, other):
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-6


by_epoch, converted = (rates(kind, type='ExponentialLR', gamma=0.9) for kind in (False, True))
cosine = [rates(kind, type='CosineAnnealingLR', T_max=EPOCHS) for kind in (False, True)]
steps = [rates(kind, type='StepLR', step_size=2) for kind in (False, True)]
poly = rates(False, type='PolyLR', power=1.0, eta_min=0.0, end=EPOCHS)
sgd = optimizer()
scheduler, torch_poly = torch.optim.lr_scheduler.PolynomialLR(sgd, total_iters=EPOCHS, power=1.0), []
for _ in range(EPOCHS):
    torch_poly.append(sgd.param_groups[0]['lr'])
    sgd.step()
    scheduler.step()
print('ExponentialLR by epoch: ', text(by_epoch))
print(f'ExponentialLR converted: {text(converted)}, after one epoch {converted[1]:.1e}')
print(f'CosineAnnealingLR:       {text(cosine[0])}, converted the same: {equal(*cosine)}')
print(f'StepLR:                  {text(steps[0])}, converted the same: {equal(*steps)}')
print('PolyLR by epoch:        ', text(poly))
print('PolynomialLR of PyTorch:', text(torch_poly))
assert equal(by_epoch, [0.9**epoch for epoch in range(EPOCHS)]) and equal(*cosine) and equal(*steps)
assert equal(converted, [0.9 ** (ITERATIONS * epoch) for epoch in range(EPOCHS)]), 'the behaviour has changed'
assert poly[-1] < 1e-9 < torch_poly[-1], 'the behaviour has changed'
PY
