#!/usr/bin/env bash
# datumaro 1.13.12: as kitti_segmentation, pixels without an annotation become the first class.
#
# A semantic label map needs a number for pixels that nobody has labelled. Of datumaro's formats voc_segmentation,
# cityscapes and camvid add a class for them and give it 0. kitti_segmentation does not: it writes the classes as they
# are, from 0, and leaves the rest of the map at 0. So all unlabelled pixels belong to the first class, in the file and
# in datumaro itself, which reads it back as one more mask of that class. A data set whose first class is "background"
# is right by chance. For MMSegmentation, which reads these files, sparse labels ("road", "car") become dense ones.
# The instance maps beside them have 0 for unlabelled pixels, too, but the objects have other numbers there.
# Remedy: a first class "background" before the export, or cityscapes, whose labelIds have 0 for what is not labelled.
#
# Output seen (pixels of each class; 1160 of 2400 pixels are not labelled):
#   annotated:          road 980, car 160, person 100
#   kitti_segmentation: road 2140, car 160, person 100; numbers in the file: 0, 1, 2
#   cityscapes:         road 980, car 160, person 100; numbers in the file: 0, 1, 2, 3
#   camvid:             road 980, car 160, person 100
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    datumaro==1.13.12 numpy==2.4.6 pillow==12.3.0

cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import logging
from collections import Counter
from pathlib import Path

import datumaro
import numpy as np
from datumaro.components.annotation import AnnotationType, Mask
from PIL import Image

logging.disable(logging.CRITICAL)
NAMES = ['road', 'car', 'person']
labels = np.full((40, 60), 255)  # 255 stands for no label
labels[20:] = 0
labels[22:32, 10:26] = 1
labels[10:35, 40:44] = 2


def annotated():
    masks = [Mask(image=labels == number, label=number, id=number + 1) for number in range(len(NAMES))]
    image = datumaro.Image.from_numpy(data=np.zeros((*labels.shape, 3), np.uint8))
    item = datumaro.DatasetItem(id='a', subset='train', media=image, annotations=masks)
    return datumaro.Dataset.from_iterable([item], categories=NAMES)


def pixels(dataset):
    """How many pixels each class has."""
    names, found = dataset.categories()[AnnotationType.label], Counter()
    for item in dataset:
        for mask in item.annotations:
            if mask.type == AnnotationType.mask:
                found[names[mask.label].name] += int(mask.image.sum())
    return found


def read_back(kind):
    annotated().export(kind, kind, save_media=True)
    return pixels(datumaro.Dataset.import_from(kind, kind))


def numbers(folder, name):
    """Numbers in the label map."""
    (path,) = Path(folder).rglob(name)
    return ', '.join(map(str, np.unique(np.asarray(Image.open(path)))))


def text(found):
    return ', '.join(f'{name} {found[name]}' for name in NAMES)


truth = pixels(annotated())
kitti, cityscapes, camvid = (read_back(kind) for kind in ('kitti_segmentation', 'cityscapes', 'camvid'))
files = numbers('kitti_segmentation/train/semantic', '*.png'), numbers('cityscapes', '*_labelIds.png')
print('annotated:         ', text(truth))
print(f'kitti_segmentation: {text(kitti)}; numbers in the file: {files[0]}')
print(f'cityscapes:         {text(cityscapes)}; numbers in the file: {files[1]}')
print('camvid:            ', text(camvid))
assert cityscapes == camvid == truth
assert kitti['road'] == truth['road'] + (labels == 255).sum(), 'the behaviour has changed'
assert (kitti['car'], kitti['person']) == (truth['car'], truth['person']) and files[0] == '0, 1, 2'
PY
