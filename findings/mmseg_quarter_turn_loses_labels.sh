#!/usr/bin/env bash
# opencv-python 5.0.0.93: a quarter turn of a label map loses labels, which mmsegmentation's RandomRotate inherits.
#
# Where height and width are odd and even, a quarter turn about the centre puts each pixel between two of the source.
# The nearest one is then a tie. OpenCV 4.11 breaks all ties to one side, so that each label is kept. OpenCV 5.0
# breaks them to the even side: every second row and column of the source is gone, the others are there twice. Maps of
# two even or two odd sides, and other angles, are not concerned. RandomRotate of onedl-mmsegmentation 1.4.2 turns
# label maps by mmcv.imrotate with 'nearest', and so by cv2.warpAffine. Images are turned by 'bilinear' and keep all.
# The map below is of 7 x 10 pixels, each with a label of its own; a quarter turn shows 7 x 7 of them.
#
# Output seen:
#   OpenCV 4.11.0: 49 of 49 labels after a quarter turn of 7 x 10, 64 of 64 of 8 x 10
#   OpenCV 5.0.0: 16 of 49 labels after a quarter turn of 7 x 10, 64 of 64 of 8 x 10
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile --no-deps --target "$tmp/cv4" \
    opencv-python==4.11.0.86

cat > "$tmp/turn.py" <<'PY'
import sys

import cv2
import numpy as np
from mmseg.datasets.transforms import RandomRotate


def kept(height, width):
    """Labels of a map that a quarter turn shows, each pixel being a label of its own."""
    labels = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    turn = RandomRotate(prob=1.0, degree=(90.0, 90.0), seg_pad_val=255)
    sample = dict(img=np.zeros((height, width, 3), np.uint8), gt_seg_map=labels, seg_fields=['gt_seg_map'])
    shown = turn(sample)['gt_seg_map']
    return len(set(shown.flatten().tolist()) - {255})


print(f'OpenCV {cv2.__version__}: {kept(7, 10)} of 49 labels after a quarter turn of 7 x 10, {kept(8, 10)} of 64 of 8 x 10')
assert (kept(7, 10), kept(8, 10)) == (int(sys.argv[1]), 64), 'the behaviour has changed'
PY
PYTHONPATH="$tmp/cv4" "$tmp/venv/bin/python" -W ignore "$tmp/turn.py" 49
"$tmp/venv/bin/python" -W ignore "$tmp/turn.py" 16
