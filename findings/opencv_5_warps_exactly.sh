#!/usr/bin/env bash
# opencv-python-headless 4.13.0.92 and 5.0.0.93: the same warp of the same image is another image.
#
# Up to 4.13, warpAffine and remap round every source position to 1/32 of a pixel, in bilinear sampling, for bytes and for
# floats alike. A shift of 0.01 pixels so gives the image itself. 5.0.0 samples at the positions themselves: in floats
# it is the formula to 0.01 of a level, in bytes to the rounding. Nearest neighbours change, too, so labels do: of the
# pixels turned by 10 degrees some get another neighbour's. On noise the two releases are up to 6 levels apart. Resizing,
# blurring, colour conversion and JPEG are bit for bit the same in both, so that it is easy to believe that all is.
# Rotate, Shear and Translate of MMPretrain, RandomRotate of MMSegmentation and warps of albumentations go through these
# functions. A training that is resumed with the other release sees other images, and a comparison across them compares
# these, too: pin the release.
#
# Output seen:
#   opencv 4.13.0: shift by 0.01: changed 0 of 12288 values; rotation: mean and largest distance from the formula 0.838 and
#     5.7 levels as bytes, 0.803 and 5.7 as floats; 4 of 4096 labels are not the nearest one's
#   opencv 5.0.0: shift by 0.01: changed 8043 of 12288 values; rotation: mean and largest distance from the formula 0.236 and
#     0.5 levels as bytes, 0.000 and 0.0 as floats; 0 of 4096 labels are not the nearest one's
#   resize, blur, HSV, JPEG: equal in both
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

cat > warp.py <<'PY'
"""Print, as JSON, what warps of an image are, and a checksum of everything else."""

import hashlib
import json

import cv2
import numpy as np

SIZE = 64
random = np.random.default_rng(0)
image = random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
labels = random.integers(0, 200, (SIZE, SIZE), np.uint8)
rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float64)
turn = cv2.invertAffineTransform(cv2.getRotationMatrix2D(((SIZE - 1) / 2,) * 2, 10, 1))
INVERSE = cv2.WARP_INVERSE_MAP


def positions(matrix):
    """Where each pixel comes from, along both sides."""
    return (matrix[axis, 0] * columns + matrix[axis, 1] * rows + matrix[axis, 2] for axis in (0, 1))


def pick(source, x, y):
    """Pixels at whole positions, zero outside."""
    inside = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)
    picked = source[np.clip(y, 0, SIZE - 1), np.clip(x, 0, SIZE - 1)]
    return picked * inside.reshape(inside.shape + (1,) * (source.ndim - 2))


def bilinear(source, matrix):
    x, y = positions(matrix)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right_share, bottom_share = x - left, y - top
    total = np.zeros(source.shape)
    for right in (0, 1):
        for bottom in (0, 1):
            share = (right_share if right else 1 - right_share) * (bottom_share if bottom else 1 - bottom_share)
            total += share[..., None] * pick(source.astype(np.float64), left + right, top + bottom)
    return total


def warped(source, matrix, way):
    return cv2.warpAffine(source, matrix, (SIZE, SIZE), flags=way | INVERSE)


shift = np.array([[1, 0, 0.01], [0, 1, 0]])
distances = {
    kind: np.abs(warped(image.astype(kind), turn, cv2.INTER_LINEAR) - bilinear(image, turn)) for kind in ('uint8', 'float32')
}
nearest = pick(labels, *(np.rint(place).astype(int) for place in positions(turn)))
code = cv2.imencode('.jpg', image)[1]
others = [
    cv2.resize(image, (37, 41)),
    cv2.resize(image, (128, 100), interpolation=cv2.INTER_CUBIC),
    cv2.GaussianBlur(image, (5, 5), 1.1),
    cv2.cvtColor(image, cv2.COLOR_BGR2HSV),
    code,
    cv2.imdecode(code, cv2.IMREAD_COLOR),
]
found = {
    'version': cv2.__version__,
    'shifted': int((warped(image, shift, cv2.INTER_LINEAR) != image).sum()),
    **{f'{kind}_mean': float(distance.mean()) for kind, distance in distances.items()},
    **{f'{kind}_max': float(distance.max()) for kind, distance in distances.items()},
    'labels': int((warped(labels, turn, cv2.INTER_NEAREST) != nearest).sum()),
    'others': hashlib.sha256(b''.join(np.ascontiguousarray(part).tobytes() for part in others)).hexdigest(),
}
print(json.dumps(found))
PY

for release in 4.13.0.92 5.0.0.93; do
    python3 -m venv "venv-$release"
    "venv-$release/bin/pip" install -qq --disable-pip-version-check numpy==2.2.6 "opencv-python-headless==$release"
    "venv-$release/bin/python" warp.py >> found
done

python3 - <<'PY'
import json
from pathlib import Path

old, new = (json.loads(line) for line in Path('found').read_text().splitlines())
for found in (old, new):
    print(
        'opencv {version}: shift by 0.01: changed {shifted} of 12288 values; rotation: mean and largest distance from the '
        'formula {uint8_mean:.3f} and {uint8_max:.1f} levels as bytes, {float32_mean:.3f} and {float32_max:.1f} as floats; '
        "{labels} of 4096 labels are not the nearest one's".format(**found)
    )
print('resize, blur, HSV, JPEG:', 'equal in both' if old['others'] == new['others'] else 'differ')
assert old['shifted'] == 0 and old['float32_max'] > 3 and old['labels'] > 0, 'the behaviour of 4.13 has changed'
assert new['shifted'] > 0 and new['float32_max'] < 0.1 and new['uint8_max'] < 0.6 and new['labels'] == 0
assert old['others'] == new['others']
PY
