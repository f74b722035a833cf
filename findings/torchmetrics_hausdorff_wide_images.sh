#!/usr/bin/env bash
# torchmetrics 1.9.0 with torch 2.14.1: HausdorffDistance of images wider than high is a number without meaning.
#
# Its distance map is written into a flat tensor at row * height + column, where the width belongs. Square images are
# right. In an image that is wider than high each distance goes to another pixel, and the metric reads the map where the
# edges really are: it finds distances of other pixels, or zeros, where nothing was written. The result may be 0 for a
# guess that is off, or larger than the objects are apart, and is still a number of pixels that looks like one. Images
# that are higher than wide stop with "index ... is out of bounds", which hides that the others are wrong too. All three
# values of distance_metric are concerned, and the class as well as the function. Cityscapes, ADE20K and all camera
# images are wider than high. monai and medpy are right.
# Remedy: pad labels and guesses with rows of background to squares, or use another of them.
#
# Output seen (the guess is the label, moved 3 rows down and 4 columns to the right: the distance is 5):
#   64 x 64: at the corner 5.0, in the middle 5.0, as computed pixel by pixel 5.0
#   48 x 64: at the corner 32.0, in the middle 21.6, as computed pixel by pixel 5.0
#   32 x 64: at the corner 22.6, in the middle 0.0, as computed pixel by pixel 5.0
#   32 x 64, made square: at the corner 5.0, in the middle 5.0, as computed pixel by pixel 5.0
#   64 x 48: IndexError
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 torchmetrics==1.9.0

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from torchmetrics.segmentation import HausdorffDistance

OBJECT, DOWN, RIGHT = 6, 3, 4


def map_of(height, width, top, left):
    classes = torch.zeros(1, height, width, dtype=torch.long)
    classes[:, top : top + OBJECT, left : left + OBJECT] = 1
    return classes


def pixel_by_pixel(guess, labels):
    """For two equal squares the distance of all their pixels is that of their edges."""
    apart = torch.cdist(guess[0].nonzero().double(), labels[0].nonzero().double())
    return max(apart.amin(0).max(), apart.amin(1).max()).item()


def measured(height, width, square=False):
    found = []
    for top, left in ((4, 5), (20, 15)):
        maps = [map_of(height, width, top + DOWN, left + RIGHT), map_of(height, width, top, left)]
        if square:
            maps = [torch.nn.functional.pad(classes, (0, 0, 0, width - height)) for classes in maps]
        metric = HausdorffDistance(num_classes=2, input_format='index')
        metric.update(*maps)
        found.append(round(metric.compute().item(), 1))
    corner, middle = found
    true = pixel_by_pixel(*maps)
    name = f'{height} x {width}{", made square" if square else ""}'
    print(f'{name}: at the corner {corner}, in the middle {middle}, as computed pixel by pixel {true:.1f}')
    assert true == 5
    return found


assert measured(64, 64) == [5, 5]
wide = measured(48, 64) + measured(32, 64)
assert measured(32, 64, square=True) == [5, 5]
try:
    measured(64, 48)
except IndexError:
    print('64 x 48: IndexError')
assert 5 not in wide and 0 in wide, 'the behaviour has changed'
PY
