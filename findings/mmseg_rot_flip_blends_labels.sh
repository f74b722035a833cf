#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2 with opencv-python 5.0.0.93: RandomRotFlip blends label maps and so makes labels up.
#
# RandomRotFlip turns the label map by mmcv.imrotate as it turns the image: bilinear, with 0 around it. A label has no
# mean, but the border between background 0 and organ 8 gets rims of the labels 1 to 7, and that between 0 and the
# ignored label 255 gets all that lies between those. What is beyond the last class fails in the loss ("Target 127 is
# out of bounds", a device-side assert on a GPU), so that the label files look wrong; what is within is learned in
# silence. The corners that a turn uncovers are class 0, not ignored. RandomRotate of the same package takes the nearest
# label, and 255 around it. The toolbox's config of the Synapse data, organs with the labels 0 to 8, has RandomRotFlip
# with rotate_prob=0.5: half of its training label maps are concerned. A validation has no such transform.
# Remedy: RandomRotate(prob=0.5, degree=20, seg_pad_val=0 or 255), with RandomRotFlip(rotate_prob=0) for quarter turns.
#
# Output seen (the classes of a map and how many of its 4096 pixels have one that was not there):
#   before:              [0, 8]
#   RandomRotFlip:       [0, 1, 2, 3, 4, 5, 6, 7, 8], 112 pixels
#   RandomRotate:        [0, 8], 0 pixels
#   before, with 255:    [0, 255]
#   RandomRotFlip:       34 labels from 0 to 255, 128 pixels
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from mmseg.datasets.transforms import RandomRotate, RandomRotFlip

SIZE = 64


def turned(transform, label):
    """Labels of a map with a square of one label, and how many pixels have another one, after a turn."""
    np.random.seed(0)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[16:48, 16:48] = label
    results = {'img': np.zeros((SIZE, SIZE, 3), np.uint8), 'gt_seg_map': labels, 'seg_fields': ['gt_seg_map']}
    labels = transform(results)['gt_seg_map']
    return np.unique(labels).tolist(), int(np.isin(labels, [0, label], invert=True).sum())


blend = RandomRotFlip(rotate_prob=1.0, flip_prob=0.0, degree=20)
keep = RandomRotate(prob=1.0, degree=20, seg_pad_val=0)
quarter = RandomRotFlip(rotate_prob=0.0, flip_prob=1.0)
organ, ignored, kept = turned(blend, 8), turned(blend, 255), turned(keep, 8)
print('before:             ', [0, 8])
print(f'RandomRotFlip:       {organ[0]}, {organ[1]} pixels')
print(f'RandomRotate:        {kept[0]}, {kept[1]} pixels')
print('before, with 255:   ', [0, 255])
print(f'RandomRotFlip:       {len(ignored[0])} labels from {ignored[0][0]} to {ignored[0][-1]}, {ignored[1]} pixels')
assert kept == ([0, 8], 0) and turned(quarter, 8) == ([0, 8], 0)
assert organ[0] == list(range(9)) and organ[1] > 50 and len(ignored[0]) > 20, 'the behaviour has changed'
PY
