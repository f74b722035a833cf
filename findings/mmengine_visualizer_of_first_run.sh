#!/usr/bin/env bash
# onedl-mmengine 0.10.12: the second training of a process writes its curves into the folder of the first.
#
# Runner builds its visualizer from the config. Visualizers are global and known by their names, and the configs of
# MMSegmentation, MMPretrain and MMDetection all have name='visualizer'. If one of that name is there already, Runner
# gets that one, with its backends and its folder; the new backends and folder are dropped. A UserWarning says that
# `get_instance` should not accept any other arguments.
# 1. Of two trainings with two work directories the second has no scalars.json. The file of the first has the losses of
#    both, under the same iterations.
# 2. After BaseInferencer, which builds the visualizer of its config without a folder, a training has no scalars.json
#    at all.
#
# Output seen:
#   two trainings:         first has 4 lines with the iterations 1 2 1 2, second has no scalars.json
#   after an inferencer:   third has no scalars.json
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12
cd "$tmp"

"$tmp/venv/bin/python" -W ignore - <<'PY'
import json
from pathlib import Path

import torch
from mmengine.config import ConfigDict
from mmengine.infer import BaseInferencer
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Model(BaseModel):
    """One weight."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, *inputs, mode='tensor'):
        return {'loss': self.layer(torch.stack(inputs)).sum()}


def shown(name):
    """The visualizer as configs of the toolboxes have it."""
    return ConfigDict(type='Visualizer', name=name, vis_backends=[dict(type='LocalVisBackend')])


def train(folder, name):
    """Two iterations in a folder; the iterations of its scalars.json, None where there is none."""
    data = dict(dataset=[torch.ones(2)] * 4, batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False))
    Runner(
        Model(),
        folder,
        train_dataloader=data,
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1), checkpoint=None),
        visualizer=shown(name),
        experiment_name=folder,
        log_level='ERROR',
    ).train()
    return logged(folder)


def logged(folder):
    """Iterations in the scalars.json of a folder, None where there is none."""
    files = list(Path(folder).rglob('scalars.json'))
    return [json.loads(line)['iter'] for line in files[0].read_text().splitlines()] if files else None


train('first', 'visualizer')
second = train('second', 'visualizer')
first = logged('first')
# What BaseInferencer does with the config of its model.
BaseInferencer._init_visualizer(None, ConfigDict(visualizer=shown('other')))
third = train('third', 'other')
print('two trainings:        ', f'first has {len(first)} lines with the iterations', *first, end=', ')
print('second has', 'no scalars.json' if second is None else second)
print('after an inferencer:  ', 'third has', 'no scalars.json' if third is None else third)
assert first == [1, 2, 1, 2] and second is None and third is None, 'the behaviour has changed'
PY
