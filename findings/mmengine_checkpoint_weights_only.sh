#!/usr/bin/env bash
# onedl-mmengine 0.10.12 with torch 2.13.0: torch.load refuses the checkpoints that a Runner writes.
#
# Since torch 2.6 torch.load reads weights only. A Runner's checkpoint also holds mmengine's HistoryBuffer objects,
# with the loss curve, and so a plain torch.load of it raises. The weights inside are fine. mmengine's own
# load_checkpoint falls back to the unsafe mode.
#
# Output seen:
#   torch.load(file): WeightsUnpickler error: Unsupported global: GLOBAL mmengine.logging.history_buffer.HistoryBuffer
#     was not an allowed global by default. Please use
#     `torch.serialization.add_safe_globals([mmengine.logging.history_buffer.HistoryBuffer])` or the
#     `torch.serialization.safe_globals([mmengine.logging.history_buffer.HistoryBuffer])` context manager to allowlist
#     this global if you trust this class/function.
#   weights_only=False: ['message_hub', 'meta', 'optimizer', 'state_dict']
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import logging
import pickle
import tempfile

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, mode='loss'):
        return {'loss': self.layer(x).square().mean()}


with tempfile.TemporaryDirectory() as folder:
    Runner(
        Line(),
        folder,
        train_dataloader=dict(
            dataset=[torch.ones(1), torch.zeros(1)], batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        log_level=logging.ERROR,
    ).train()
    try:
        torch.load(f'{folder}/epoch_1.pth')
        refused = ''
    except pickle.UnpicklingError as error:
        refused = next(line.strip() for line in str(error).splitlines() if 'WeightsUnpickler' in line)
    keys = sorted(torch.load(f'{folder}/epoch_1.pth', weights_only=False))
print('torch.load(file):', refused)
print('weights_only=False:', keys)
assert 'HistoryBuffer' in refused, 'the behaviour has changed'
PY
