#!/usr/bin/env bash
# onedl-mmengine 0.10.12: a loss of the validation is logged as the mean of the last ten validations.
#
# LogProcessor averages what has loss, time or grad_norm in its name over window_size=10 entries. For the training that
# smooths ten iterations. The results of a validation go the same way, where ten entries are ten validations, and each
# of them is the mean over a whole data set already. So a metric named loss (val_loss, mean_loss, and all of the losses
# that ValLoop itself adds, val_loss among them) lags by up to nine validations in the text log, in scalars.json, in
# TensorBoard and everywhere else. Any other name (error, mIoU, nll) is logged as it is. save_best and EarlyStoppingHook
# read the value itself, so that the best checkpoint need not be at the least value of the curve. A loss that rises
# again, the sign of overfitting, may still fall in the curve for some validations; its least value is never shown.
# Also seen: without log_with_hierarchy=True the curve has the name of the training's loss: one file and one tag hold
# both, the training's under iterations, the validation's under epochs. In a training by iterations all validations are
# written under step 0, unless LoggerHook has log_metric_by_epoch=False, as the configs of MMSegmentation have.
# Remedy: a name without loss and time, or a LogProcessor with log_with_hierarchy=True and a mean_pattern that leaves
# the validation out: r'^(?!val/).*(loss|time|grad_norm)'.
#
# Output seen (the same number under two names, one validation an epoch):
#   error:             1.00 0.50 0.33 0.25 0.20 0.60 0.70 0.80
#   loss:              1.00 0.75 0.61 0.52 0.46 0.48 0.51 0.55
#   with mean_pattern: 1.00 0.50 0.33 0.25 0.20 0.60 0.70 0.80
#   best checkpoint:   best_loss_epoch_5.pth, of loss 0.20
#   steps of the validations by epochs:     [1, 2, 3, 4, 5, 6, 7, 8]
#   steps of the validations by iterations: [0, 0, 0, 0, 0, 0, 0, 0]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12

"$tmp/venv/bin/python" -W ignore - "$tmp" <<'PY'
import json
import sys
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import METRICS
from mmengine.runner import Runner
from torch import nn

VALUES = [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 0.6, 0.7, 0.8]


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, mode='tensor'):
        return {'loss': self.weight.mean()} if mode == 'loss' else [self.weight]


@METRICS.register_module()
class Given(BaseMetric):
    """One number of VALUES for each validation, under two names."""

    epoch = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.epoch += 1
        return {'loss': VALUES[self.epoch - 1], 'error': VALUES[self.epoch - 1]}


def train(name, by_epoch=True, **log_processor):
    """Curves of a training, the steps that they have, and its best checkpoint."""
    folder = Path(sys.argv[1]) / name
    loader = {'batch_size': 1, 'dataset': [{'x': 0}], 'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    checkpoint = {'type': 'CheckpointHook', 'interval': -1, 'by_epoch': by_epoch, 'save_best': 'loss', 'rule': 'less'}
    length = {'max_epochs': len(VALUES)} if by_epoch else {'max_iters': len(VALUES), 'val_interval': 1}
    runner = Runner(
        model=Model(),
        work_dir=str(folder),
        experiment_name=name,
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg={'by_epoch': by_epoch, **length},
        val_cfg={},
        val_evaluator={'type': 'Given'},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.0}},
        default_hooks={'checkpoint': checkpoint},
        log_processor={'type': 'LogProcessor', **log_processor},
        log_level='ERROR',
    )
    runner.train()
    (file,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines = [{key.removeprefix('val/'): value for key, value in line.items()} for line in lines]
    lines = [line for line in lines if 'error' in line]
    (best,) = folder.glob('best*')
    return *([line[key] for line in lines] for key in ('loss', 'error', 'step')), best.name


def text(values):
    return ' '.join(f'{value:.2f}' for value in values)


def equal(one, other):
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-9


loss, error, steps, best = train('plain')
remedy, *_ = train('remedy', log_with_hierarchy=True, mean_pattern=r'^(?!val/).*(loss|time|grad_norm)')
_, _, by_iteration, _ = train('iterations', by_epoch=False)
print('error:            ', text(error))
print('loss:             ', text(loss))
print('with mean_pattern:', text(remedy))
print(f'best checkpoint:   {best}, of loss {min(VALUES):.2f}')
print('steps of the validations by epochs:    ', steps)
print('steps of the validations by iterations:', by_iteration)
assert equal(error, VALUES) and equal(remedy, VALUES) and best == 'best_loss_epoch_5.pth'
means = [sum(VALUES[: count + 1]) / (count + 1) for count in range(len(VALUES))]
assert equal(loss, means), 'the behaviour has changed'
assert steps == list(range(1, 9)) and by_iteration == [0] * 8, 'the behaviour has changed'
PY
