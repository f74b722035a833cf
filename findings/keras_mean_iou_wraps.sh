#!/usr/bin/env bash
# keras 3.15.1 with torch 2.14.1: MeanIoU leaves out the largest class once it has more than 2147483647 pixels.
#
# MeanIoU, IoU, BinaryIoU and the OneHot ones add their pixels up in a matrix of the type "int", which is int32 with
# the backends torch and jax (int64 with tensorflow). The cell of a class that fills most of the images, as the
# background of aerial or medical images, wraps around below zero. A class whose union is not above zero is taken as
# absent, so that the mean leaves it out in silence. It is mostly the best of all. 100 scans of 512 x 512 x 128 or
# 3000 images of one million pixels are enough. The score is right for most of the epoch and falls near its end; a
# part of the data set gives no hint.
# dtype='float32' does not wrap, but beyond 2^24 a sum of floats is rounded, and small additions are lost.
# Remedy: MeanIoU(num_classes, dtype='int64') with torch; jax has no int64 unless jax_enable_x64 is set.
#
# Output seen (three classes, all images alike, so that the score must not change):
#   int (default), 1500 images: mean IoU 0.539, background 1275000000
#   int (default), 3000 images: mean IoU 0.339, background -1744967296
#   int64, 1500 images: mean IoU 0.539, background 1275000000
#   int64, 3000 images: mean IoU 0.539, background 2550000000
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile torch==2.14.1 numpy==2.4.6 keras==3.15.1
export KERAS_BACKEND=torch HOME=$tmp

"$tmp/venv/bin/python" -W ignore - <<'PY'
import keras
import numpy as np

SIDE, BATCH = 1000, 1500  # an image of one million pixels; a weight of 1500 stands for as many images
labels = np.zeros((SIDE, SIDE), np.int32)
labels[:100], labels[100:110] = 1, 2
guess = labels.copy()
guess[110:150], guess[95:110] = 1, 0


def measured(dtype):
    """(mean IoU, background pixels guessed as background) after each batch."""
    metric = keras.metrics.MeanIoU(num_classes=3, dtype=dtype)
    for batch in (1, 2):
        metric.update_state(labels, guess, sample_weight=np.full_like(labels, BATCH))
        mean, background = float(metric.result()), int(metric.total_cm[0, 0])
        print(f'{dtype or "int (default)"}, {batch * BATCH} images: mean IoU {mean:.3f}, background {background}')
        yield round(mean, 3), background


(before, _), (after, background) = measured(None)
wide = list(measured('int64'))
assert before == wide[0][0] == wide[1][0] and wide[1][1] == 2 * wide[0][1]
assert background < 0 and after < before - 0.1, 'the behaviour has changed'
PY
