#!/usr/bin/env bash
# onedl-mmengine 0.10.12 with torch 2.13.0: activation_checkpointing can stop the training of a module.
#
# `activation_checkpointing = [name, ...]` in a config wraps the forward of these modules in torch's checkpoint.
# 1. It does not say use_reentrant, and so gets the reentrant form. That form gives no gradients where no input has
#    one: in the first module of a model, or behind frozen ones (frozen_stages). The module is not trained. torch
#    warns; the training goes on. (with_cp of the toolboxes' backbones asks for x.requires_grad first.)
# 2. The wrapped forward is an attribute that stays bound to the original. A deep copy of the model, such as a
#    teacher, computes with the original's weights, and the model cannot be pickled.
#
# Output seen (two layers, activation_checkpointing = ['first']):
#   1 layers that a training moved: {'first': False, 'second': True}, without the option {'first': True, 'second': True}
#   2 output of a copy whose weights are 0: 6.0, without the option 0.0
#   2 pickled: PicklingError, without the option yes
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12

cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import copy
import pickle

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn


class TwoLayers(BaseModel):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 3, bias=False), nn.Linear(3, 1, bias=False)
        for layer in (self.first, self.second):
            nn.init.ones_(layer.weight)

    def forward(self, inputs, mode='tensor'):
        output = self.second(self.first(inputs))
        return dict(loss=output.square().mean()) if mode == 'loss' else output


def trained(**options):
    """The model after one iteration."""
    runner = Runner(
        TwoLayers(),
        work_dir='runs',
        train_dataloader=dict(
            dataset=[torch.ones(2)],
            batch_size=1,
            collate_fn=lambda items: dict(inputs=torch.stack(items)),
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        train_cfg=dict(by_epoch=False, max_iters=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        log_level='ERROR',
        cfg=dict(**options),
    )
    return runner.train()


def moved(model):
    return {name: not torch.equal(layer.weight, torch.ones_like(layer.weight)) for name, layer in model.named_children()
            if isinstance(layer, nn.Linear)}


@torch.no_grad()
def copied(model):
    """Output of the first layer of a deep copy whose weights are zero, where the original's are one."""
    nn.init.ones_(model.first.weight)
    duplicate = copy.deepcopy(model)
    nn.init.zeros_(duplicate.first.weight)
    return duplicate.first(torch.ones(1, 2)).sum().item()


def pickled(model):
    try:
        return 'yes' if pickle.dumps(model) else 'no'
    except (pickle.PicklingError, AttributeError) as error:
        return type(error).__name__


plain, saving = trained(), trained(activation_checkpointing=['first'])
layers, copies, pickles = [[look(model) for model in (saving, plain)] for look in (moved, copied, pickled)]
print('1 layers that a training moved: {}, without the option {}'.format(*layers))
print('2 output of a copy whose weights are 0: {}, without the option {}'.format(*copies))
print('2 pickled: {}, without the option {}'.format(*pickles))
assert layers[1] == {'first': True, 'second': True} and copies[1] == 0 and pickles[1] == 'yes'
assert layers[0] == {'first': False, 'second': True}, 'the behaviour has changed'
assert copies[0] == 6 and pickles[0] == 'PicklingError', 'the behaviour has changed'
PY
