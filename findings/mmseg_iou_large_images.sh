#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2 with torch 2.13.0: on large images IoUMetric depends on the number of threads.
#
# IoUMetric counts pixels with torch.histc of float32 labels. On a CPU each thread adds 1 to a float32 number, which
# stays at 2 ** 24 = 16,777,216. So one thread counts at most that many pixels of a class in one image (4096 x 4096).
# torchrun gives each of several processes one thread. The image below has 25 million pixels, 80 % of them of class 0,
# and the guess is class 0 all over. The true IoU of class 0 is 80 %; with one thread it is 100 %. (Labels on a GPU
# were not looked at.)
# Remedy: torch.bincount, or tiles of the image.
#
# Output seen:
#   one thread:              {'aAcc': 77.04, 'IoU': [100.0, 0.0]}
#   two threads:             {'aAcc': 80.0, 'IoU': [80.0, 0.0]}
#   one thread, four tiles:  {'aAcc': 80.0, 'IoU': [80.0, 0.0]}
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric

MMLogger.get_instance('quiet', log_level='ERROR')


def evaluated(threads, tiles=1):
    """Metrics in percent: the guess is class 0, and so are 20 of 25 million pixels."""
    torch.set_num_threads(threads)
    truth = torch.zeros(1, 5000, 5000, dtype=torch.long)
    truth[:, :, 4000:] = 1
    metric = IoUMetric(collect_device='cpu')
    metric.dataset_meta = dict(classes=('ground', 'rest'))
    for part in truth.chunk(tiles, dim=1):
        metric.process({}, [dict(gt_sem_seg=dict(data=part), pred_sem_seg=dict(data=torch.zeros_like(part)))])
    areas = [sum(image) for image in zip(*metric.results)]
    values = metric.total_area_to_metrics(*areas, ['mIoU'])
    return dict(aAcc=round(100 * float(values['aAcc']), 2), IoU=[round(100 * float(v), 2) for v in values['IoU']])


one, two, tiled = evaluated(1), evaluated(2), evaluated(1, tiles=4)
print('one thread:             ', one)
print('two threads:            ', two)
print('one thread, four tiles: ', tiled)
assert tiled == two == {'aAcc': 80.0, 'IoU': [80.0, 0.0]}
assert one == {'aAcc': 77.04, 'IoU': [100.0, 0.0]}, 'the behaviour has changed'
PY
