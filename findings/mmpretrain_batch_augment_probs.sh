#!/usr/bin/env bash
# onedl-mmpretrain 1.3.6: batch augmentations with probabilities can be built once from a config, not twice.
#
# RandomBatchAugment appends the probability of "no augmentation" to the list that it is given. That list belongs to
# the config, so a second model of the same config (a fold, an ensemble, a teacher) gets three probabilities for two
# augmentations and fails. A number, or the default, is not changed. A config that is written after a model was built
# from it keeps the longer list. Remedy: build each model from a deep copy of the config.
#
# Output seen:
#   first model:  built, probs of the config [0.5, 0.3, 0.2]
#   second model: AssertionError: ``augments`` and ``probs`` must have same lengths. Got 2 vs 3.
#   two models of deep copies: built and built, probs of the config [0.5, 0.3]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 ftfy onedl-mmengine==0.10.12 \
    onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import copy

from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.utils import register_all_modules

register_all_modules()


def fresh():
    mixes = [dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]
    return Config(
        dict(
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='LeNet5', num_classes=10),
                head=dict(type='ClsHead'),
                data_preprocessor=dict(num_classes=10),
                train_cfg=dict(augments=mixes, probs=[0.5, 0.3]),
            )
        )
    )


def built(model):
    try:
        MODELS.build(model)
        return 'built'
    except AssertionError as error:
        return f'AssertionError: {error}'


def probs(cfg):
    return [round(value, 6) for value in cfg.model.train_cfg.probs]


cfg = fresh()
first, after = built(cfg.model), probs(cfg)
second = built(cfg.model)
other = fresh()
copies = [built(copy.deepcopy(other.model)) for _ in range(2)]
print(f'first model:  {first}, probs of the config {after}')
print(f'second model: {second}')
print(f'two models of deep copies: {copies[0]} and {copies[1]}, probs of the config {probs(other)}')
assert first == 'built' and copies == ['built', 'built'] and probs(other) == [0.5, 0.3]
assert after == [0.5, 0.3, 0.2] and 'Got 2 vs 3' in second, 'the behaviour has changed'
PY
