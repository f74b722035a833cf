#!/usr/bin/env bash
# onedl-mmengine 0.10.12: a resumed training forgets how long EarlyStoppingHook has been waiting.
#
# The hook keeps its best score and the number of validations without a better one in attributes of its own, which no
# checkpoint holds. A training that is interrupted and resumed counts from zero, with no best score: it stops later than
# the uninterrupted one, and a score below the earlier best passes for the best. CheckpointHook, which keeps its own best
# score in the message hub, and so in the checkpoint, does remember.
#
# Output seen:
#   uninterrupted:               stopped after epoch 5
#   interrupted after 4 epochs:  stopped after epoch 9
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
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

logging.disable(logging.CRITICAL)


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, mode='tensor'):
        return {'loss': self.weight**2} if mode == 'loss' else [self.weight]


class Same(BaseMetric):
    """A score that never gets better."""

    def process(self, data_batch, data_samples):
        self.results.append(1.0)

    def compute_metrics(self, results):
        return {'score': 1.0}


class Interrupt(Hook):
    def before_train_epoch(self, runner):
        if runner.epoch == 4:
            raise KeyboardInterrupt


def train(name, *hooks, **resume):
    loader = dict(batch_size=1, dataset=[{'x': torch.zeros(1)}] * 2, sampler=dict(type='DefaultSampler', shuffle=False))
    runner = Runner(
        Model(),
        work_dir=name,
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=20),
        val_cfg={},
        val_evaluator=Evaluator(Same()),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='EarlyStoppingHook', monitor='score', rule='greater', patience=4), *hooks],
        experiment_name=f'{name}_{len(hooks)}_{len(resume)}',
        log_level='CRITICAL',
        **resume,
    )
    runner.train()
    return runner.epoch


whole = train('whole')
try:
    train('parts', Interrupt())
except KeyboardInterrupt:
    pass
resumed = train('parts', resume=True, load_from='parts/epoch_4.pth')
print('uninterrupted:               stopped after epoch', whole)
print('interrupted after 4 epochs:  stopped after epoch', resumed)
assert (whole, resumed) == (5, 9), 'the behaviour has changed'
PY
