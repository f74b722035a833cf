#!/usr/bin/env bash
# onedl-mmengine 0.10.12: CheckpointHook removes the oldest checkpoint before it writes the next one.
#
# With max_keep_ckpts=1 there is a moment without any checkpoint. A write that fails then (a full disk, a quota) leaves
# the run with none: all progress is lost. save_best does the same with the best one.
#
# Output seen:
#   after 2 iterations: ['iter_2.pth']
#   after a write that fails: []
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12
cd "$tmp"

"$tmp/venv/bin/python" -W ignore - <<'PY'
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner


@register_backend('full_disk')
class FullDisk(LocalBackend):
    """A disk that takes two checkpoints."""

    def put(self, obj, filepath):
        if Path(filepath).name == 'iter_3.pth':
            raise OSError(28, 'No space left on device')
        super().put(obj, filepath)


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='loss'):
        return {'loss': self.layer(inputs).sum()}


class Look(Hook):
    priority = 'LOWEST'

    def after_train_iter(self, runner, **_):
        seen[runner.iter + 1] = sorted(path.name for path in Path('work').glob('*.pth'))


seen = {}
loader = dict(batch_size=1, dataset=torch.ones(8, 2), sampler=dict(type='InfiniteSampler'), num_workers=0)
hook = dict(type='CheckpointHook', interval=1, by_epoch=False, max_keep_ckpts=1, backend_args=dict(backend='full_disk'))
with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
    runner = Runner(
        model=Model(),
        work_dir='work',
        train_dataloader=loader,
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=5),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(checkpoint=hook),
        custom_hooks=[Look()],
        log_level='ERROR',
    )
    try:
        runner.train()
    except OSError:
        failed = True
left = sorted(path.name for path in Path('work').glob('*.pth'))
print('after 2 iterations:', seen[2])
print('after a write that fails:', left)
assert failed and seen[2] == ['iter_2.pth'] and left == [], 'the behaviour has changed'
PY
