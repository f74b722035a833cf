#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2 with onedl-mmcv 2.3.6: labels over 255 wrap, and palette labels depend on the reader.
#
# 1. LoadAnnotations reads a 16-bit PNG rightly and then casts it to uint8: label 256 becomes class 0, label 511
#    becomes the ignored label 255. Data sets with more than 255 classes train on wrong labels without a warning.
# 2. With imdecode_backend='cv2' a palette PNG gives its colours, in BGR, and a map of shape (H, W, 3).
#    A one-bit mask gives 0 and 255, and 255 is the ignored label: the foreground is gone.
#
# Output seen:
#   16 bit, pillow: [[1, 255], [0, 255]]
#   16 bit, cv2: [[1, 255], [0, 255]]
#   palette, pillow: [[0, 1], [1, 0]]
#   palette, cv2: [[[0, 0, 0], [0, 0, 128]], [[0, 0, 128], [0, 0, 0]]]
#   one bit, pillow: [[0, 1], [1, 0]]
#   one bit, cv2: [[0, 255], [255, 0]]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93 pillow==13.0.0

"$tmp/venv/bin/python" -W ignore - <<'PY'
import tempfile

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image


def load(image, backend):
    with tempfile.NamedTemporaryFile(suffix='.png') as file:
        image.save(file.name)
        results = dict(seg_map_path=file.name, label_map=None, reduce_zero_label=False, seg_fields=[])
        return LoadAnnotations(imdecode_backend=backend)(results)['gt_seg_map']


wide = Image.fromarray(np.array([[1, 255], [256, 511]], np.uint16))
palette = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), 'P')
palette.putpalette([0, 0, 0, 128, 0, 0])
mask = Image.fromarray(np.array([[False, True], [True, False]]))
for name, image in (('16 bit', wide), ('palette', palette), ('one bit', mask)):
    for backend in ('pillow', 'cv2'):
        print(f'{name}, {backend}: {load(image, backend).tolist()}')
assert all(load(wide, backend).tolist() == [[1, 255], [0, 255]] for backend in ('pillow', 'cv2'))
assert load(palette, 'pillow').shape == (2, 2) and load(palette, 'cv2').shape == (2, 2, 3)
assert load(mask, 'pillow').max() == 1 and load(mask, 'cv2').max() == 255, 'the behaviour has changed'
PY
