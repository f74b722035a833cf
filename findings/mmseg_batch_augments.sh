#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: batch_augments of SegDataPreProcessor, documented as a list of dicts, must be a callable.
#
# The docstring says batch_augments (list[dict], optional). The constructor keeps the value as it is and builds
# nothing; the first training batch then calls it. The classification toolbox builds the same option from a dict
# (onedl-mmpretrain 1.3.6), so a config that carries the setting over builds, and fails at its first step.
# A callable (images, samples) -> (images, samples) works, but no text config can hold one.
#
# Output seen:
#   list of dicts: built, then TypeError: 'list' object is not callable
#   dict:          built, then TypeError: 'dict' object is not callable
#   function:      (2, 3, 8, 8)
#   mmpretrain, the same dict: RandomBatchAugment
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 ftfy onedl-mmengine==0.10.12 \
    onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 onedl-mmpretrain==1.3.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmengine.structures import PixelData
from mmpretrain.models import ClsDataPreprocessor
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

MIXUP = dict(type='Mixup', alpha=0.8)


def batch():
    labels = [SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 8, 8, dtype=torch.long))) for _ in range(2)]
    for sample in labels:
        sample.set_metainfo(dict(img_shape=(8, 8)))
    return dict(inputs=[torch.zeros(3, 8, 8, dtype=torch.uint8) for _ in range(2)], data_samples=labels)


def first_step(augments):
    preprocessor = SegDataPreProcessor(size=(8, 8), batch_augments=augments)
    try:
        return str(tuple(preprocessor(batch(), training=True)['inputs'].shape))
    except TypeError as error:
        return f'built, then TypeError: {error}'


found = first_step([MIXUP]), first_step(MIXUP), first_step(lambda images, samples: (images, samples))
built = type(ClsDataPreprocessor(batch_augments=dict(augments=MIXUP), num_classes=2).batch_augments).__name__
print('list of dicts:', found[0])
print('dict:         ', found[1])
print('function:     ', found[2])
print('mmpretrain, the same dict:', built)
assert found[:2] == tuple(f"built, then TypeError: '{kind}' object is not callable" for kind in ('list', 'dict'))
assert found[2] == '(2, 3, 8, 8)' and built == 'RandomBatchAugment', 'the behaviour has changed'
PY
