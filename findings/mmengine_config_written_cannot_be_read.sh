#!/usr/bin/env bash
# onedl-mmengine 0.10.12: three valid configs do not survive being written.
#
# The Runner writes its config to the work folder, from where a test or a resume reads it.
# 1. An infinite number, as in clip_grad=dict(max_norm=float('inf')) (which logs the norm and clips nothing), is
#    written as the bare word inf. The training runs; its config raises when it is read.
# 2. A dict with the key 'class' (any keyword of Python) is written as dict(class=...). The Runner logs its config, so
#    it does not start. A second key that is no identifier, such as 'my class', makes it work.
# 3. Written as JSON, keys that are numbers turn into strings, and tuples into lists.
#
# Output seen:
#   1 infinite:        trained, then NameError: name 'inf' is not defined
#   2 keyword as key:  SyntaxError: Failed to format the config file, please check the syntax of:
#   2 with a blank:    trained, then the same config
#   3 JSON:            {'label_map': {0: 1}, 'scale': (2, 4)} to {'label_map': {'0': 1}, 'scale': [2, 4]}
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12

cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner


@MODELS.register_module()
class Line(BaseModel):
    def __init__(self, names=None):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def forward(self, inputs, mode):
        return dict(loss=self.line(inputs.float()).square().mean())


CONFIG = """
model = dict(type='Line', names={names})
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm={norm}))
train_cfg = dict(by_epoch=False, max_iters=1)
train_dataloader = dict(batch_size=1, dataset=[[1.0]], collate_fn=dict(type='default_collate'),
                        sampler=dict(type='DefaultSampler', shuffle=False))
log_level = 'ERROR'
"""


def outcome(name, norm='1.0', names='None'):
    """What a training with a config, and then a look at the config that it wrote, lead to."""
    source = Path(f'{name}.py')
    source.write_text(CONFIG.format(norm=norm, names=names))
    config, done = Config.fromfile(source), ''
    config.work_dir = name
    try:
        runner = Runner.from_cfg(config)
        runner.train()
        done = 'trained, then '
        same = Config.fromfile(Path(name, source)).to_dict() == config.to_dict()
        return done + ('the same config' if same else 'another config')
    except (NameError, SyntaxError) as error:
        return f'{done}{type(error).__name__}: {str(error).splitlines()[0].strip()}'


infinite = outcome('infinite', norm="float('inf')")
keyword = outcome('word', names="{'class': 1}")
blank = outcome('blank', names="{'class': 1, 'my class': 2}")
numbers = Config(dict(label_map={0: 1}, scale=(2, 4)))
numbers.dump('numbers.json')
before, after = numbers.to_dict(), Config.fromfile('numbers.json').to_dict()
print('1 infinite:       ', infinite)
print('2 keyword as key: ', keyword)
print('2 with a blank:   ', blank)
print('3 JSON:           ', before, 'to', after)
assert infinite.startswith('trained, then NameError') and keyword.startswith('SyntaxError')
assert blank == 'trained, then the same config'
assert after == {'label_map': {'0': 1}, 'scale': [2, 4]}, 'the behaviour has changed'
PY
