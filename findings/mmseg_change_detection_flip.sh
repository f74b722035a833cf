#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: in change detection RandomFlip and RandomRotate move the first image and leave the second.
#
# A pair of images of change detection is loaded as img and img2, with a label map for both; ConcatCDInput makes one
# image of six channels of them. The transforms before it know img and the label map alone. So a flipped pair compares
# each place with another one, under the labels of the first image: half of all pairs with prob=0.5. Nothing is said,
# and the shapes fit. RandomRotate and RandomRotFlip do the same; PhotoMetricDistortion changes the colours of the first
# image alone. (RandomCrop and Resize end in an error of ConcatCDInput, as the sizes differ.) The config of LEVIR-CD
# takes albumentations, with img2 in its keymap.
# Remedy: ConcatCDInput before RandomFlip, RandomRotate, RandomCrop and Resize, which take six channels.
#
# Output seen (nothing changes in the scene: both images are equal; does each transform keep them so?):
#   transform, then ConcatCDInput: RandomFlip no, RandomRotate no, RandomRotFlip no, PhotoMetricDistortion no
#   ConcatCDInput, then transform: RandomFlip yes, RandomRotate yes, RandomRotFlip yes
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from mmseg.datasets.transforms import ConcatCDInput, PhotoMetricDistortion, RandomFlip, RandomRotate, RandomRotFlip

image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
labels = np.zeros((32, 32), np.uint8)
moves = (
    RandomFlip(prob=1.0),
    RandomRotate(prob=1.0, degree=20),
    RandomRotFlip(rotate_prob=1.0, flip_prob=0.0),
)


def stays_a_pair(*transforms):
    """Whether two equal images are equal behind the transforms."""
    np.random.seed(0)
    results = {'img': image.copy(), 'img2': image.copy(), 'gt_seg_map': labels.copy(), 'seg_fields': ['gt_seg_map']}
    results |= {'img_shape': (32, 32), 'ori_shape': (32, 32)}
    for transform in transforms:
        results = transform(results)
    pair = results['img']
    assert pair.shape == (32, 32, 6)
    return bool((pair[..., :3] == pair[..., 3:]).all())


def told(found):
    return ', '.join(f'{name} {"yes" if kept else "no"}' for name, kept in found.items())


concat = ConcatCDInput()
before = {type(move).__name__: stays_a_pair(move, concat) for move in (*moves, PhotoMetricDistortion())}
after = {type(move).__name__: stays_a_pair(concat, move) for move in moves}
print('transform, then ConcatCDInput:', told(before))
print('ConcatCDInput, then transform:', told(after))
assert stays_a_pair(concat) and all(after.values())
assert not any(before.values()), 'the behaviour has changed'
PY
