#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: of its transforms for volumes one loses the labels, one the foreground, one always fails.
#
# BioMedical3DPad, BioMedical3DRandomCrop and BioMedicalRandomGamma are made for images of shape (N, Z, Y, X).
# 1. BioMedical3DPad puts an axis before the label map, pads the map, and takes [1:] of it where [0] is meant: what
#    comes out has no voxel at all. Columns are padded by what the rows lack.
# 2. BioMedical3DRandomCrop(keep_foreground=True), the default, is to take a voxel of the foreground as the centre of
#    the crop. It finds the corner that this needs, and then draws a corner from all between the origin and that one.
#    So a small organ can be in fewer crops than with False, which draws them blindly, and where it is in one, it lies
#    in the half that is away from the origin.
# 3. BioMedicalRandomGamma(per_channel=True) raises NameError.
# The crop says nothing, and a network that learns from it sees hardly anything but background.
# Remedy: a crop and a pad of one's own, or of MONAI.
#
# Output seen:
#   20 x 80 x 80 to 25 x 85 x 90: image (1, 25, 85, 90), labels (0, 25, 85, 90)
#   20 x 80 x 60 to 25 x 85 x 90: image (1, 25, 85, 70), labels (0, 25, 85, 60)
#   crops with the organ, of 3000: keep_foreground=True 71, False 198
#   gamma per channel: NameError
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from mmseg.datasets.transforms import BioMedical3DPad, BioMedical3DRandomCrop, BioMedicalRandomGamma

CROPS = 3000
labels = np.zeros((20, 80, 80), np.uint8)
labels[14:16, 55:57, 55:57] = 1  # one organ
image = np.random.default_rng(0).random((1, *labels.shape), np.float32)


def padded(columns):
    """Shapes of image and labels after a pad to 25 x 85 x 90."""
    results = BioMedical3DPad((25, 85, 90))({'img': image[..., :columns], 'gt_seg_map': labels[..., :columns]})
    return results['img'].shape, results['gt_seg_map'].shape


def crops_with_organ(keep):
    """Of many crops of 10 x 20 x 20 those in which the organ is."""
    np.random.seed(0)
    crop = BioMedical3DRandomCrop((10, 20, 20), keep_foreground=keep)
    return sum(bool(crop({'img': image, 'gt_seg_map': labels})['gt_seg_map'].any()) for _ in range(CROPS))


square, narrow = padded(80), padded(60)
print(f'20 x 80 x 80 to 25 x 85 x 90: image {square[0]}, labels {square[1]}')
print(f'20 x 80 x 60 to 25 x 85 x 90: image {narrow[0]}, labels {narrow[1]}')
kept, blind = crops_with_organ(True), crops_with_organ(False)
print(f'crops with the organ, of {CROPS}: keep_foreground=True {kept}, False {blind}')
try:
    BioMedicalRandomGamma(prob=1.0, per_channel=True)({'img': image.copy()})
    gamma = 'works'
except NameError as error:
    gamma = type(error).__name__
print('gamma per channel:', gamma)
BioMedicalRandomGamma(prob=1.0)({'img': image.copy()})
assert square[0] == (1, 25, 85, 90), 'an image is padded rightly where its height and width are equal'
assert square[1][0] == 0 and narrow[0][-1] != 90, 'the behaviour has changed'
assert kept < 0.75 * blind and blind < CROPS / 4 and gamma == 'NameError', 'the behaviour has changed'
PY
