#!/usr/bin/env bash
# onedl-mmcv 2.3.6 with opencv-python 5.0.0.93: Resize moves label maps against their image.
#
# Resize takes images by 'bilinear' and label maps by 'nearest'. OpenCV's INTER_NEAREST takes the top left pixel of
# those that become one, its bilinear interpolation the middle. So labels that shrink by a factor of f move by
# (f - 1) / 2 pixels of the source to the right and down: 1.5 for 4. With backend='pillow' the error is half a pixel
# at every even factor, the other way. Image and labels below hold the number of their column, so that their
# difference is the shift. The same config so trains on labels that depend on the backend.
# Remedy: OpenCV's INTER_NEAREST_EXACT, which is never off by more than half a pixel.
#
# Output seen (pixels of the source that labels are off, for the factors 1, 2, 4 and 8):
#   cv2:    [0.0, 0.5, 1.5, 3.5]
#   pillow: [0.0, -0.5, -0.5, -0.5]
#   INTER_NEAREST_EXACT of OpenCV: [0.0, -0.5, -0.5, -0.5]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 opencv-python==5.0.0.93 pillow==13.0.0 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import cv2
import numpy as np
from mmcv.transforms import Resize

SIZE, FACTORS = 128, (1, 2, 4, 8)
COLUMNS = np.tile(np.arange(SIZE, dtype=np.uint8), (SIZE, 1))


def resized(factor, backend):
    """Image and labels that hold their column, after Resize."""
    side = SIZE // factor
    sample = dict(img=COLUMNS[..., None].repeat(3, axis=2), gt_seg_map=COLUMNS, img_shape=COLUMNS.shape)
    sample = Resize(scale=(side, side), backend=backend)(sample)
    return sample['img'][..., 0].astype(float), sample['gt_seg_map'].astype(float)


def middle(factor):
    """Middle of the columns that become one."""
    return np.arange(SIZE // factor) * factor + (factor - 1) / 2


def shift(labels, factor):
    """How far to the left of its middle a label was taken, over columns that the border does not touch."""
    return float((middle(factor) - labels)[2:-2, 2:-2].mean())


def exact(factor):
    return cv2.resize(COLUMNS, (SIZE // factor,) * 2, interpolation=cv2.INTER_NEAREST_EXACT).astype(float)


seen = {backend: [shift(resized(factor, backend)[1], factor) for factor in FACTORS] for backend in ('cv2', 'pillow')}
images = [np.abs(resized(f, b)[0] - middle(f))[2:-2, 2:-2].max() for f in FACTORS for b in seen]
best = [shift(exact(factor), factor) for factor in FACTORS]
print('cv2:   ', seen['cv2'])
print('pillow:', seen['pillow'])
print('INTER_NEAREST_EXACT of OpenCV:', best)
assert max(images) <= 0.5  # images, which are rounded to whole numbers, stay where they are
assert seen['cv2'] == [0.0, 0.5, 1.5, 3.5], 'the behaviour has changed'
assert seen['pillow'] == [0.0, -0.5, -0.5, -0.5], 'the behaviour has changed'
PY
