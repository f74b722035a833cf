#!/usr/bin/env bash
# onedl-mmengine 0.10.12, torch 2.14.1: with `compile = True` and SGD, every new learning rate compiles the optimizer anew.
#
# MMEngine's `compile = True` compiles the model's train_step, and with it the optimizer's step. SGD's learning rate is a
# number there that becomes a constant of the compiled code. A schedule that changes it in every iteration (a warm-up, the
# poly and cosine schedules of the zoo's configs) so compiles the step again in iterations 1 to 8; then PyTorch reaches
# its limit of eight, says "hit config.recompile_limit" and runs the step uncompiled for the rest of the training. With
# Inductor on a CPU one such compilation of a ResNet's SGD takes 5 to 10 s, all for nothing. A guess that both optimizers
# behave alike is wrong: AdamW's learning rate becomes a variable after its first change, one further compilation.
# Remedy: leave the optimizer out of what is compiled, `torch.compiler.disable` on the optimizer's wrapper's
# update_params, or compile the model's forward alone. A learning rate in a tensor is no remedy: MMEngine's schedulers
# write numbers.
#
# Output seen:
#   SGD: 4 graphs with a constant learning rate, 11 with a warm-up
#   AdamW: 4 graphs with a constant learning rate, 5 with a warm-up
#   SGD, update_params left out: 2 and 2
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY' 2>/dev/null
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch._dynamo.utils import counters
from torch.utils.data import DataLoader

ITERATIONS = 12
WARM_UP = {'type': 'LinearLR', 'start_factor': 0.1, 'end': 100, 'by_epoch': False}


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, inputs, mode):
        return {'loss': self.layer(inputs).square().mean()}


def graphs(name, optimizer, schedule):
    """Graphs that a short training compiles."""
    torch._dynamo.reset()
    counters.clear()
    torch.manual_seed(0)
    images = DataLoader([{'inputs': torch.randn(4)} for _ in range(ITERATIONS)])
    runner = Runner(
        Line(),
        name,
        images,
        train_cfg={'by_epoch': False, 'max_iters': ITERATIONS},
        optim_wrapper={'optimizer': {'type': optimizer, 'lr': 0.01}},
        param_scheduler=schedule,
        cfg={'compile': {'backend': 'aot_eager'}},
        experiment_name=name,
        log_level='ERROR',
    )
    runner.train()
    return counters['stats']['unique_graphs']


found = {}
for optimizer in ('SGD', 'AdamW'):
    constant, warm_up = graphs(f'{optimizer}-c', optimizer, None), graphs(f'{optimizer}-w', optimizer, WARM_UP)
    found[optimizer] = warm_up - constant
    print(f'{optimizer}: {constant} graphs with a constant learning rate, {warm_up} with a warm-up')
OptimWrapper.update_params = torch.compiler.disable(OptimWrapper.update_params)
constant, warm_up = graphs('left-out-c', 'SGD', None), graphs('left-out-w', 'SGD', WARM_UP)
print(f'SGD, update_params left out: {constant} and {warm_up}')
assert found['SGD'] >= 6 and found['AdamW'] <= 1 and constant == warm_up, 'the behaviour has changed'
PY
