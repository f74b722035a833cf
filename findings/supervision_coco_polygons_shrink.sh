#!/usr/bin/env bash
# supervision 0.31.2 with pycocotools 2.0.11: masks that are written as COCO polygons come back smaller.
#
# as_coco writes the outline that OpenCV finds, which runs through the middle of the outer pixels. pycocotools takes the
# numbers of a polygon as places between pixels, where pixel 5 goes from 5 to 6. So each object loses a pixel of its
# width and one of its height: two pixels become one, and a line of one pixel gets no polygon at all. supervision reads
# its file as it was meant, and the area in the file is that of the mask. So only other toolboxes, and evaluations by
# pycocotools, have smaller masks, and label maps that are made of them have gaps between objects that touch.
# Remedy: masks as RLE, or half a pixel added to the outline on all sides.
#
# Output seen (pixels of the mask, read by supervision, read by pycocotools):
#   square of 10 x 10: 100, 100, 81
#   bar of 3 x 15: 45, 45, 28
#   bar of 2 x 15: 30, 30, 14
#   line of 1 x 15: polygon []
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 supervision==0.31.2 pycocotools==2.0.11 opencv-python==5.0.0.93 pillow==13.0.0

"$tmp/venv/bin/python" -W ignore - "$tmp" <<'PY'
import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import supervision
from PIL import Image
from pycocotools.coco import COCO

folder = Path(sys.argv[1], 'images')
folder.mkdir()
image, file = str(folder / 'image.png'), str(folder.parent / 'coco.json')
Image.new('RGB', (20, 20)).save(image)


def written(height, width):
    """What pycocotools reads of a mask with one rectangle: the file, and its one annotation."""
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 5 : 5 + height, 2 : 2 + width] = True
    box = supervision.mask_to_xyxy(mask).astype(float)
    found = supervision.Detections(xyxy=box, mask=mask, class_id=np.array([0]))
    supervision.DetectionDataset(['thing'], [image], {image: found}).as_coco(annotations_path=file)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(file)
    (annotation,) = coco.anns.values()
    return coco, annotation


def pixels(height, width):
    coco, annotation = written(height, width)
    ((_, _, found),) = supervision.DetectionDataset.from_coco(str(folder), file, force_masks=True)
    assert annotation['area'] == height * width
    return height * width, int(found.mask.sum()), int(coco.annToMask(annotation).sum())


seen = {}
for name, size in (('square', (10, 10)), ('bar', (3, 15)), ('bar', (2, 15))):
    seen[size] = pixels(*size)
    print(f'{name} of {size[0]} x {size[1]}: ' + ', '.join(map(str, seen[size])))
line = written(1, 15)[1]['segmentation']
print(f'line of 1 x 15: polygon {line}')
assert all(mask == again for mask, again, _ in seen.values())
assert all(seen[height, width][2] == (height - 1) * (width - 1) for height, width in seen), 'the behaviour has changed'
assert line == [], 'the behaviour has changed'
PY
