#!/usr/bin/env bash
# onedl-mmengine 0.10.12: save_best='heatmap_loss' keeps the worst checkpoint; 'map', 'top' and 'acc' count as scores.
#
# CheckpointHook takes from the name of a metric whether more or less is better. It looks for parts of a word, without
# regard to capitals, and for the good ones first: acc, top, AR@, auc, precision, mAP, mDice, mIoU. So heatmap_loss and
# depth_map_loss are scores to be raised (mAP), as are loss_top, mIoU_loss and stop_error, MAPE (a percentage of error)
# and each loss with a prefix or data set such as laptop/, accident/ or landmap/. No message says which rule was taken:
# the log says "The best checkpoint with 0.9 heatmap_loss", and max_keep_ckpts may have removed the good ones.
# EarlyStoppingHook has the same rule, so that it stops a training whose loss falls as it should. A name with neither
# (mae, f1-score) raises.
# Remedy: rule='less', always, for what is an error; with several metrics save_best and rule are lists.
#
# Output seen (the metric falls from 0.9 to 0.1 in five epochs):
#   heatmap_loss:            greater, best checkpoint best_heatmap_loss_epoch_1.pth, early stopping after epoch 2
#   MAPE:                    greater, best checkpoint best_MAPE_epoch_1.pth, early stopping after epoch 2
#   laptop/loss:             greater, best checkpoint best_laptop_loss_epoch_1.pth, early stopping after epoch 2
#   loss:                    less, best checkpoint best_loss_epoch_5.pth, early stopping never
#   heatmap_loss, with rule: less, best checkpoint best_heatmap_loss_epoch_5.pth, early stopping never
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12

"$tmp/venv/bin/python" -W ignore - "$tmp" <<'PY'
import sys
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import EarlyStoppingHook
from mmengine.model import BaseModel
from mmengine.registry import METRICS
from mmengine.runner import Runner
from torch import nn

VALUES = [0.9, 0.7, 0.5, 0.3, 0.1]


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, mode='tensor'):
        return {'loss': self.weight.mean()} if mode == 'loss' else [self.weight]


@METRICS.register_module()
class Falling(BaseMetric):
    """One number of VALUES for each validation."""

    def __init__(self, name):
        super().__init__(prefix=name.rpartition('/')[0] or None)
        self.name, self.epoch = name.rpartition('/')[2], 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.epoch += 1
        return {self.name: VALUES[self.epoch - 1]}


def train(name, folder, hooks, **rule):
    """A training with these hooks; gives the runner."""
    loader = {'batch_size': 1, 'dataset': [{'x': 0}], 'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    checkpoint = {'type': 'CheckpointHook', 'interval': -1, 'save_best': name, **rule}
    runner = Runner(
        model=Model(),
        work_dir=str(folder),
        experiment_name=folder.name,
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg={'by_epoch': True, 'max_epochs': len(VALUES)},
        val_cfg={},
        val_evaluator={'type': 'Falling', 'name': name},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.0}},
        default_hooks={'checkpoint': checkpoint},
        custom_hooks=hooks,
        log_level='ERROR',
    )
    runner.train()
    return runner


def show(title, name, **rule):
    """Which checkpoint is kept as the best, and when a training is stopped early."""
    folder = Path(sys.argv[1]) / title.replace('/', '_').replace(', ', '_').replace(' ', '_')
    train(name, folder, [], **rule)
    (best,) = folder.rglob('best*.pth')
    hook = EarlyStoppingHook(monitor=name, min_delta=1e-6, patience=1, **rule)
    epochs = train(name, folder.with_name(folder.name + '_stopping'), [hook], **rule).epoch
    stopped = 'never' if epochs == len(VALUES) else f'after epoch {epochs}'
    print(f'{title + ":":24} {hook.rule}, best checkpoint {best.name}, early stopping {stopped}')
    return hook.rule, best.stem[-1], epochs


found = [show(name, name) for name in ('heatmap_loss', 'MAPE', 'laptop/loss')]
plain, remedy = show('loss', 'loss'), show('heatmap_loss, with rule', 'heatmap_loss', rule='less')
assert plain == remedy == ('less', '5', 5)
assert found == [('greater', '1', 2)] * 3, 'the behaviour has changed'
PY
