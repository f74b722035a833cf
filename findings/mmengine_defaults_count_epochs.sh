#!/usr/bin/env bash
# onedl-mmengine 0.10.12: schedules, checkpoints and logged validations count epochs in a training by iterations, too.
#
# Schedules and CheckpointHook of MMEngine have by_epoch=True as their default, LoggerHook log_metric_by_epoch=True,
# also where train_cfg counts iterations. IterBasedTrainLoop has one epoch, which ends with the training. So
# * PolyLR(end=10) or MultiStepLR(milestones=[4]) leave the learning rate as it was at the start, for a whole training
#   and without a word; the log shows one constant number;
# * CheckpointHook(interval=3) writes one file, at the end: who stops a week of training earlier has none;
# * every validation stands at step 0 of TensorBoard, WandB or the JSON file, so that the curve is one vertical line.
# One guesses that they count what the training counts, or that the runner refuses the mixture. With
# convert_to_iter_based=True a schedule works.
# Also seen: CosineRestartLR whose periods end before the training stays at the last value before eta_min, not at
# eta_min. OneCycleLR whose total_steps are fewer than the iterations rises again after its end, and then stops the
# training by an error: of a long training, after all of its work.
# Remedy: by_epoch=False in every schedule and in CheckpointHook, log_metric_by_epoch=False in LoggerHook, as the
# schedules of MMSegmentation have it; periods and total_steps that end with the training.
#
# Output seen (learning rate at the start of iterations 1 to 10; then files, and steps of two validations):
#   PolyLR                      1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00
#   PolyLR, by_epoch=False      1.00 0.89 0.78 0.67 0.56 0.44 0.33 0.22 0.11 0.00
#   MultiStepLR                 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00
#   MultiStepLR, by_epoch=False 1.00 1.00 1.00 1.00 0.10 0.10 0.10 0.10 0.10 0.10
#   CosineRestartLR, periods 4  1.00 0.85 0.50 0.15 0.15 0.15 0.15 0.15 0.15 0.15
#   OneCycleLR, 5 steps of 10   0.04 0.95 0.61 0.19 0.00 0.19 ValueError
#   hooks as they are           epoch_1.pth; 0, 0
#   hooks by iterations         iter_10.pth, iter_3.pth, iter_6.pth, iter_9.pth; 5, 10
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12

cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import json
import tempfile
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

ITERATIONS = 10


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(2, 1)

    def forward(self, inputs, data_samples=None, mode='loss'):
        out = self.line(torch.stack(list(inputs)))
        return {'loss': out.sum()} if mode == 'loss' else [out]


class Count(BaseMetric):
    default_prefix = 'count'

    def process(self, data_batch, data_samples):
        self.results.append(len(data_samples))

    def compute_metrics(self, results):
        return {'batches': len(results)}


class Rates(Hook):
    def __init__(self):
        self.found = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.found.append(runner.optim_wrapper.param_groups[0]['lr'])


def loader(sampler):
    data = [{'inputs': torch.ones(2)}] * 12
    return {'dataset': data, 'batch_size': 4, 'num_workers': 0, 'sampler': {'type': sampler}}


def runner(name, **options):
    return Runner(
        Model(),
        tempfile.mkdtemp(),
        train_dataloader=loader('InfiniteSampler'),
        train_cfg={'by_epoch': False, 'max_iters': ITERATIONS, 'val_interval': 5},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 1.0}},
        experiment_name=name,
        log_level='CRITICAL',
        **options,
    )


def rates(**schedule):
    """Learning rate of each iteration, and the name of the error that ended them."""
    hook = Rates()
    try:
        runner(str(schedule), param_scheduler=schedule, custom_hooks=[hook]).train()
    except ValueError as error:
        return [*hook.found, type(error).__name__]
    return hook.found


def written(name, logger, checkpoint):
    """Checkpoints of a training, and steps of its validations."""
    validation = {'val_dataloader': loader('DefaultSampler'), 'val_cfg': {}, 'val_evaluator': [Count()]}
    hooks = {
        'logger': {'type': 'LoggerHook', **logger},
        'checkpoint': {'type': 'CheckpointHook', 'interval': 3, **checkpoint},
    }
    made = runner(name, default_hooks=hooks, **validation)
    made.train()
    (log,) = Path(made.work_dir).rglob('scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line['step'] for line in lines if 'count/batches' in line]
    files = sorted(path.name for path in Path(made.work_dir).glob('*.pth'))
    print(f'{name:28}' + ', '.join(files) + '; ' + ', '.join(map(str, steps)))
    return files, steps


def show(name, found):
    print(f'{name:28}' + ' '.join(value if isinstance(value, str) else f'{value:.2f}' for value in found))
    return found


poly = {'type': 'PolyLR', 'power': 1.0, 'eta_min': 0.0, 'end': ITERATIONS}
waits = show('PolyLR', rates(**poly))
falls = show('PolyLR, by_epoch=False', rates(**poly, by_epoch=False))
stays = show('MultiStepLR', rates(type='MultiStepLR', milestones=[4]))
show('MultiStepLR, by_epoch=False', rates(type='MultiStepLR', milestones=[4], by_epoch=False))
restart = {'type': 'CosineRestartLR', 'periods': [4], 'restart_weights': [1], 'eta_min': 0.0, 'by_epoch': False}
stuck = show('CosineRestartLR, periods 4', rates(**restart))
cycle = show('OneCycleLR, 5 steps of 10', rates(type='OneCycleLR', eta_max=1.0, total_steps=5, by_epoch=False))
default = written('hooks as they are', {}, {})
counted = written('hooks by iterations', {'log_metric_by_epoch': False}, {'by_epoch': False})
assert falls[0] == 1.0 and falls[-1] < 1e-9
assert waits == stays == [1.0] * ITERATIONS, 'the behaviour has changed'
assert stuck[-1] == stuck[3] > 0.1 and cycle[-1] == 'ValueError' and cycle[4] < 0.01 < cycle[5]
assert counted[1] == [5, 10] and len(counted[0]) == 4
assert default == (['epoch_1.pth'], [0, 0]), 'the behaviour has changed'
PY
