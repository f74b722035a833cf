#!/usr/bin/env bash
# monai 1.6.1, seg-metrics 1.2.8: a network that misses objects has a better HD95 than one that finds them badly.
#
# HD95 is the distance of two borders that 95 % of their points stay within. Where a network finds nothing there is no
# border, and the distance is infinite. HausdorffDistanceMetric of monai says so without a percentile, but with
# percentile=95 torch.quantile makes nan of infinite distances. The mean over the images leaves nan out: each miss is
# struck off, as an image without an object is. get_not_nans=True shows how many were counted. seg-metrics takes an
# empty map for a distance of 0: a miss counts as a perfect border. medpy raises.
# They mean two things by 95 %, too: monai takes the percentile of each direction and then the larger one, medpy and
# seg-metrics that of all distances of both directions, so that a small wrong object far away may vanish.
# Remedy: count the misses and give them the image's diagonal; compare HD95 only within one library.
#
# Output seen (ten images of 64 x 64 with one object; guesses are 6 pixels off, or empty in so many of the ten):
#   0 missed: monai HD 6.0, HD95 6.0; seg-metrics HD 6.0, HD95 6.0
#   4 missed: monai HD inf, HD95 6.0; seg-metrics HD 3.6, HD95 3.6
#   9 missed: monai HD inf, HD95 6.0; seg-metrics HD 0.6, HD95 0.6
#   the object found, and nine pixels elsewhere: HD95 of monai 17.0, medpy 5.4, seg-metrics 5.4
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 monai==1.6.1 seg-metrics==1.2.8 medpy==0.5.2

"$tmp/venv/bin/python" -W ignore - <<'PY'
import medpy.metric
import numpy as np
import torch
from monai.metrics import HausdorffDistanceMetric
from seg_metrics.seg_metrics import write_metrics

IMAGES = 10
label = np.zeros((64, 64), np.uint8)
label[20:40, 20:40] = 1
empty = np.zeros_like(label)
moved = np.roll(label, 6, axis=1)
extra = label.copy()
extra[20:22] = 0
extra[50:53, 50:53] = 1


def by_monai(guesses, percentile):
    metric = HausdorffDistanceMetric(percentile=percentile)
    for guess in guesses:
        metric(*(torch.from_numpy(np.stack([1 - each, each])[None]) for each in (guess, label)))
    return round(metric.aggregate().item(), 1)


def by_seg_metrics(guesses, name):
    found = write_metrics(labels=[1], gdth_img=[label] * len(guesses), pred_img=guesses, metrics=[name])
    return round(float(np.mean([image[name] for image in found])), 1)


seen = {}
for missed in (0, 4, 9):
    guesses = [empty] * missed + [moved] * (IMAGES - missed)
    seen[missed] = [by_monai(guesses, None), by_monai(guesses, 95)]
    seen[missed] += [by_seg_metrics(guesses, 'hd'), by_seg_metrics(guesses, 'hd95')]
    one, two, three, four = seen[missed]
    print(f'{missed} missed: monai HD {one}, HD95 {two}; seg-metrics HD {three}, HD95 {four}')
monai, medpy = by_monai([extra], 95), round(float(medpy.metric.hd95(extra, label)), 1)
pooled = by_seg_metrics([extra], 'hd95')
print(f'the object found, and nine pixels elsewhere: HD95 of monai {monai}, medpy {medpy}, seg-metrics {pooled}')

inf = float('inf')
assert seen[0] == [6, 6, 6, 6]
assert seen[4] == [inf, 6, 3.6, 3.6] and seen[9] == [inf, 6, 0.6, 0.6], 'the behaviour has changed'
assert monai > 3 * medpy and medpy == pooled, 'the behaviour has changed'
PY
