#!/usr/bin/env bash
# onedl-mmpretrain 1.3.6 with onedl-mmcv 2.3.6: Rotate with a single pad_val fills one channel of three.
#
# pad_val is a number by default (128). Rotate hands it to mmcv.imrotate, and that to cv2.warpAffine, which takes a
# number for the value of the first channel and 0 for the others. So grey becomes dark blue (images are BGR). Shear
# and Translate make three numbers of it. RandAugment and AutoAugment with a named set of policies hand on
# hparams=dict(pad_val=128), and so have it too. Remedy: three numbers.
#
# Output seen (the uncovered corner):
#   Rotate, pad_val=128:             [128, 0, 0]
#   Rotate, pad_val=[128, 128, 128]: [128, 128, 128]
#   Shear, pad_val=128:              [128, 128, 128]
#   Translate, pad_val=128:          [128, 128, 128]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 ftfy onedl-mmengine==0.10.12 \
    onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from mmpretrain.datasets.transforms.auto_augment import Rotate, Shear, Translate


def corner(transform, row, column):
    """What a corner of a picture of sevens becomes."""
    return transform(dict(img=np.full((9, 9, 3), 7, np.uint8)))['img'][row, column].tolist()


sure = dict(prob=1.0, random_negative_prob=0.0)
single = corner(Rotate(angle=45.0, **sure), 0, 0)
three = corner(Rotate(angle=45.0, pad_val=[128, 128, 128], **sure), 0, 0)
shear = corner(Shear(magnitude=0.5, **sure), -1, 0)
translate = corner(Translate(magnitude=0.5, **sure), 0, 0)
print('Rotate, pad_val=128:            ', single)
print('Rotate, pad_val=[128, 128, 128]:', three)
print('Shear, pad_val=128:             ', shear)
print('Translate, pad_val=128:         ', translate)
assert three == shear == translate == [128] * 3
assert single == [128, 0, 0], 'the behaviour has changed'
PY
