#!/usr/bin/env bash
# onedl-mmpretrain 1.3.6 with onedl-mmengine 0.10.12: the recipes of the MobileOne configs never change the training.
#
# MobileOne is trained on crops of 160, then 192, then 224 pixels, with stronger RandAugment each time. Its four configs
# for ImageNet hand SwitchRecipeHook the pipelines of epochs 37 and 112 under the key "pipeline". The hook reads
# "train_pipeline", "batch_augments" and "loss" and passes over every other key without a word. So all 300 epochs see
# crops of 160 pixels, and RandAugment at a tenth of its strength, 0.7 in place of 7. The log shows nothing, and the
# validation takes 224 pixels. (The strengths would be others, too: the lines for epochs 37 and 112 multiply that of the
# first pipeline again.) Whoever copies these lines into another config gets the same.
# Remedy: the key "train_pipeline".
#
# Output seen:
#   keys of the recipes: epoch 37 pipeline, epoch 112 pipeline
#   side of the crops and strength at the start, and after the hook of epochs 1, 37 and 112: 160 0.7; 160 160 160
#   the same with the key train_pipeline: 160 192 224
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 \
    onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY' 2>/dev/null
from copy import deepcopy
from logging import getLogger
from pathlib import Path
from types import SimpleNamespace

import mmpretrain
import mmpretrain.datasets  # noqa: F401  registers the transforms
from mmengine.config import Config
from mmengine.registry import HOOKS, DefaultScope
from mmpretrain.engine.hooks import SwitchRecipeHook

DefaultScope.get_instance('finding', scope_name='mmpretrain')
configs = Path(mmpretrain.__file__).parent / '.mim' / 'configs' / 'mobileone'
cfg = Config.fromfile(configs / 'mobileone-s1_8xb32_in1k.py')
(recipes,) = (hook for hook in cfg.custom_hooks if hook.type == 'SwitchRecipeHook')
first = cfg.train_dataloader.dataset.pipeline


def side(pipeline):
    """Of the crops, from the config of a pipeline or from what the hook built of one."""
    steps = getattr(pipeline, 'transforms', pipeline)
    crop = steps[1]
    return crop['scale'] if isinstance(crop, dict) else crop.scale[0]


def sides(schedule):
    """Of the crops in epochs 1, 37 and 112."""
    hook = HOOKS.build({'type': 'SwitchRecipeHook', 'schedule': schedule})
    assert isinstance(hook, SwitchRecipeHook)
    data = SimpleNamespace(pipeline=first)
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=data))
    seen = []
    for epoch in (1, 37, 112):
        hook.before_train_epoch(SimpleNamespace(epoch=epoch - 1, train_loop=loop, logger=getLogger('run')))
        seen.append(side(data.pipeline))
    return seen


keys = [(recipe.action_epoch, *(key for key in recipe if key != 'action_epoch')) for recipe in recipes.schedule]
print('keys of the recipes:', ', '.join(f'epoch {epoch} {key}' for epoch, key in keys))
strength = first[3].magnitude_level
shipped = sides(deepcopy(recipes.schedule))
print(
    'side of the crops and strength at the start, and after the hook of epochs 1, 37 and 112:',
    side(first),
    f'{strength:.1f};',
    *shipped,
)
renamed = [{'action_epoch': recipe.action_epoch, 'train_pipeline': recipe.pipeline} for recipe in recipes.schedule]
mended = sides(renamed)
print('the same with the key train_pipeline:', *mended)
assert shipped == [160] * 3 and mended == [160, 192, 224] and strength < 1, 'the behaviour has changed'
PY
