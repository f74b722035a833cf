#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: tools/analysis_tools/confusion_matrix.py counts wrongly from 17 classes on.
#
# The tool makes the labels uint8, reads the saved predictions as uint8 and finds the cell of a pixel as
# classes * label + prediction. That stays in uint8, modulo 256. With the 19 classes of Cityscapes the rows of the
# labels 13 to 18 are empty, and their pixels are in the rows 0 to 5 as confusions that nobody made: a network that is
# right everywhere takes roads for fences and knows no car. Rows are drawn in percent, so that the picture looks
# like a matrix of a network, and -1% stands in the empty rows. With 16 classes or fewer it is right. IoUMetric counts
# rightly, so that the picture does not go with the scores of the same test.
# Remedy: astype(np.int64) in place of np.uint8 and on per_img_res, or a matrix of another tool (torchmetrics).
#
# Output seen (predictions that are equal to the labels):
#   PotsdamDataset, 6 classes: 6000 of 6000 pixels on the diagonal, rows without a pixel: []
#   CityscapesDataset, 19 classes: 13000 of 19000 pixels on the diagonal, rows without a pixel: [13, 14, 15, 16, 17, 18]
#   ADE20KDataset, 150 classes: 2000 of 150000 pixels on the diagonal, rows without a pixel: 148
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93 pillow==13.0.0
cd "$tmp"
export MPLBACKEND=Agg

"$tmp/venv/bin/python" -W ignore - <<'PY' | sed 's/^\[ .*ETA: *0s//'  # without the tool's progress
import os
import runpy
from pathlib import Path

import mmseg
import numpy as np
from mmseg.datasets import ADE20KDataset, CityscapesDataset, PotsdamDataset
from PIL import Image

SIDE = 1000
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
tool = runpy.run_path(str(Path(mmseg.__file__).parent / '.mim/tools/analysis_tools/confusion_matrix.py'))


def counted(kind):
    """The tool's matrix of one image with a row of pixels for each class, predicted as it is labelled."""
    classes = len(kind.METAINFO['classes'])
    truth = np.repeat(np.arange(classes, dtype=np.uint8)[:, None], SIDE, axis=1)
    folder = Path(kind.__name__)
    for name, picture in (('img', np.stack([truth] * 3, axis=2)), ('ann', truth), ('saved', truth)):
        (folder / name).mkdir(parents=True)
        Image.fromarray(picture).save(folder / name / 'a.png')
    dataset = kind(
        data_root=str(folder), data_prefix=dict(img_path='img', seg_map_path='ann'), img_suffix='.png',
        seg_map_suffix='.png', reduce_zero_label=False, pipeline=PIPELINE,
    )  # fmt: skip
    saved = [np.copy(Image.open(folder / 'saved' / name)) for name in sorted(os.listdir(folder / 'saved'))]
    matrix = tool['calculate_confusion_matrix'](dataset, saved).astype(int)
    empty = np.flatnonzero(matrix.sum(axis=1) == 0).tolist()
    named = empty if len(empty) < 10 else f'{len(empty)}'
    print(
        f'{kind.__name__}, {classes} classes: {matrix.trace()} of {matrix.sum()} pixels on the diagonal,',
        f'rows without a pixel: {named}',
    )
    return matrix


assert counted(PotsdamDataset).trace() == 6 * SIDE
streets, indoors = counted(CityscapesDataset), counted(ADE20KDataset)
assert streets.sum() == 19 * SIDE and streets.trace() == 13 * SIDE, 'the behaviour has changed'
assert not streets[13:].any() and indoors.trace() < 10 * SIDE, 'the behaviour has changed'
PY
