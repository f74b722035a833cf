#!/usr/bin/env bash
# onedl-mmengine 0.10.12: `default_hooks=dict(NAME=None)` leaves a hook out for six names and fails for all others.
#
# The documented way to switch a default hook off is None. It works for the six names that the Runner itself adds. The
# configs of MMSegmentation, MMPretrain and MMDetection have a seventh default hook, `visualization`. To switch that one
# off in the same way ends in an AssertionError without a message, and nothing says which key is meant.
#
# Output seen:
#   runtime_info        left out
#   timer               left out
#   sampler_seed        left out
#   logger              left out
#   param_scheduler     left out
#   checkpoint          left out
#   visualization       AssertionError()
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12
cd "$tmp"

"$tmp/venv/bin/python" -W ignore - <<'PY'
import logging

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

logging.disable(logging.CRITICAL)


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs, mode='tensor'):
        return {'loss': self.weight}


NAMES = ['runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint', 'visualization']
seen = {}
for name in NAMES:
    try:
        runner = Runner(
            Model(), work_dir='work', default_hooks={name: None}, experiment_name=f'without_{name}', log_level='CRITICAL'
        )
        assert len(runner.hooks) == 5, len(runner.hooks)
        seen[name] = 'left out'
    except AssertionError as error:
        seen[name] = repr(error)
    print(f'{name:<20}{seen[name]}')
expected = dict.fromkeys(NAMES[:-1], 'left out') | {'visualization': 'AssertionError()'}
assert seen == expected, 'the behaviour has changed'
PY
