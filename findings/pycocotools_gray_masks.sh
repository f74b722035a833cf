#!/usr/bin/env bash
# pycocotools 2.0.11, faster-coco-eval 1.8.0: encode() of a mask with several values makes holes and takes background.
#
# encode() takes a uint8 array, and a mask of 0 and 255 works as one of 0 and 1. But it is not the numbers that count: a
# run ends where a pixel differs from the one above it, and runs are off and on in turn. A mask that was resized
# smoothly, drawn with soft edges or kept as JPEG has some gray at its rim: each step from one gray to another turns the
# rest of the column over, pixels inside get lost, and background below the object is on. A label map with classes 0, 1
# and 2 gives stripes in the same way. area() and decode() then agree with each other, and evaluation goes on with them;
# there is no error for values that are not binary. What NumPy, Pillow and OpenCV take as a mask is 'other than 0'.
# Remedy: encode(numpy.asfortranarray(mask > 0, dtype='uint8')), or > 127 for gray masks.
#
# Output seen (a disc of 40 pixels across, drawn at twice the size and made smaller by Pillow's box filter):
#   mask: values [0, 64, 128, 192, 255], 1272 pixels of at least 128
#   pycocotools, as it is: area 524, IoU with the disc 0.39
#   pycocotools, > 127: area 1272, IoU with the disc 1.00
#   faster-coco-eval, as it is: area 524, IoU with the disc 0.39
#   faster-coco-eval, > 127: area 1272, IoU with the disc 1.00
#   classes 0, 1, 2 in one column: [0, 1, 1, 2, 2, 0, 0] -> [0, 1, 1, 0, 0, 1, 1]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 pillow==13.0.0 pycocotools==2.0.11 faster-coco-eval==1.8.0
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
from faster_coco_eval.core import mask as faster
from PIL import Image, ImageDraw
from pycocotools import mask as coco

drawn = Image.new('L', (128, 128))
ImageDraw.Draw(drawn).ellipse((24, 24, 103, 103), fill=255)
mask = np.array(drawn.resize((64, 64), Image.Resampling.BOX))
disc = mask > 127
print(f'mask: values {np.unique(mask).tolist()}, {disc.sum()} pixels of at least 128')


def through(library, array):
    """What is decoded of the encoded array, and its area."""
    code = library.encode(np.asfortranarray(array, dtype=np.uint8))
    decoded = library.decode(code).astype(bool)
    assert decoded.sum() == library.area(code)
    return decoded, int(library.area(code))


for name, library in (('pycocotools', coco), ('faster-coco-eval', faster)):
    for how, array in (('as it is', mask), ('> 127', disc)):
        decoded, area = through(library, array)
        overlap = (decoded & disc).sum() / (decoded | disc).sum()
        print(f'{name}, {how}: area {area}, IoU with the disc {overlap:.2f}')
        assert (overlap == 1) if array is disc else (overlap < 0.9), 'the behaviour has changed'
    column = np.array([[0], [1], [1], [2], [2], [0], [0]], np.uint8)
    striped = through(library, column)[0].ravel().astype(int).tolist()
    assert striped == [0, 1, 1, 0, 0, 1, 1], 'the behaviour has changed'
    assert np.array_equal(through(library, np.uint8(255) * disc)[0], disc)
print('classes 0, 1, 2 in one column:', column.ravel().tolist(), '->', striped)
PY
