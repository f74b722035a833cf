#!/usr/bin/env bash
# onedl-mmcv 2.3.6 with opencv-python 5.0.0.93 and pillow 13.0.0: one PNG, two images.
#
# mmcv.imfrombytes reads with OpenCV or with Pillow, and the flags promise the same result. They agree on plain
# 8-bit images. They do not agree on
# 1. 16-bit grey as 'color': OpenCV keeps the high byte (1000 gives 3), Pillow clips (1000 gives 255);
# 2. grey with alpha as 'color': OpenCV drops alpha, mmcv's Pillow path blends onto a coloured ground, which it does
#    not do for RGB with alpha;
# 3. grey with alpha as 'unchanged': four channels against two.
#
# Output seen:
#   16 bit, color: cv2 [[0, 0, 0], [3, 3, 3]], pillow [[255, 255, 255], [255, 255, 255]]
#   grey and alpha, color: cv2 [[10, 10, 10], [10, 10, 10]], pillow [[104, 117, 124], [10, 10, 10]]
#   RGB and alpha, color: cv2 [[10, 10, 10], [10, 10, 10]], pillow [[10, 10, 10], [10, 10, 10]]
#   grey and alpha, unchanged: cv2 [[10, 10, 10, 0], [10, 10, 10, 255]], pillow [[10, 0], [10, 255]]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 opencv-python==5.0.0.93 pillow==13.0.0

"$tmp/venv/bin/python" -W ignore - <<'PY'
import io

import mmcv
import numpy as np
from PIL import Image


def read(image, flag, backend):
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    return mmcv.imfrombytes(buffer.getvalue(), flag=flag, backend=backend)[0].tolist()


deep = Image.fromarray(np.array([[255, 1000]], np.uint16))
grey_alpha = Image.fromarray(np.array([[[10, 0], [10, 255]]], np.uint8), 'LA')
colour_alpha = Image.fromarray(np.array([[[10, 10, 10, 0], [10, 10, 10, 255]]], np.uint8), 'RGBA')
seen = {}
for name, image, flag in (
    ('16 bit', deep, 'color'),
    ('grey and alpha', grey_alpha, 'color'),
    ('RGB and alpha', colour_alpha, 'color'),
    ('grey and alpha', grey_alpha, 'unchanged'),
):
    seen[name, flag] = [read(image, flag, backend) for backend in ('cv2', 'pillow')]
    print(f'{name}, {flag}: cv2 {seen[name, flag][0]}, pillow {seen[name, flag][1]}')
agree = [cv2 == pillow for cv2, pillow in seen.values()]
assert agree == [False, False, True, False], 'the behaviour has changed'
PY
