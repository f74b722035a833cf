#!/usr/bin/env bash
# torchmetrics 1.9.0, segmentation-models-pytorch 0.6.0, kornia 0.9.0, monai 1.6.1: six mean IoUs of one data set.
#
# The IoU of a data set has the pixels of all images in one fraction for each class; the mean leaves out classes that
# neither labels nor predictions have. IoUMetric of MMSegmentation and MulticlassJaccardIndex of torchmetrics are that.
# MeanIoU of torchmetrics, the class made for segmentation, takes the mean of the IoU of each image, as do kornia and
# monai. So a class that is small in one image counts as much there as one that fills another. Classes that an image
# lacks are left out by MeanIoU, and count as 1 in kornia and in iou_score(reduction='macro') of smp, so that each class
# that is never there lifts the score. monai leaves out what the labels lack, with all pixels that were wrongly taken
# for it. 'micro' of smp adds up the pixels of all classes.
# Remedy: compare by confusion matrices; MulticlassJaccardIndex is what MMSegmentation reports.
#
# Output seen (four classes, two images; one class is nowhere, one is wrong everywhere):
#   of the data set: 0.554
#   torchmetrics MulticlassJaccardIndex: 0.554
#   torchmetrics MeanIoU: 0.500
#   smp iou_score, macro: 0.666
#   smp iou_score, micro: 0.802
#   kornia mean_iou: 0.688
#   monai MeanIoU: 0.717
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 torchmetrics==1.9.0 timm==1.0.31 \
    segmentation-models-pytorch==0.6.0 kornia==0.9.0 monai==1.6.1

"$tmp/venv/bin/python" -W ignore - <<'PY'
import kornia.metrics
import monai.metrics
import torch
import torch.nn.functional as F
from segmentation_models_pytorch import metrics as smp
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex
from torchmetrics.segmentation import MeanIoU

CLASSES = 4
labels, guess = torch.zeros(2, 2, 10, 10, dtype=torch.long)
labels[0, :5], guess[0, :4] = 1, 1
labels[0, 9, :2] = 2  # missed
guess[1, :, 0] = 2  # not there


def one_hot(classes):
    return F.one_hot(classes, CLASSES).movedim(-1, 1)


def of_the_data_set():
    matrix = MulticlassConfusionMatrix(CLASSES)(guess, labels).double()
    hits, union = matrix.diag(), matrix.sum(0) + matrix.sum(1) - matrix.diag()
    return (hits / union).nanmean()


def of_monai():
    metric = monai.metrics.MeanIoU()
    metric(one_hot(guess), one_hot(labels))
    return metric.aggregate()


counts = smp.get_stats(guess, labels, mode='multiclass', num_classes=CLASSES)
seen = {
    'of the data set': of_the_data_set(),
    'torchmetrics MulticlassJaccardIndex': MulticlassJaccardIndex(CLASSES)(guess, labels),
    'torchmetrics MeanIoU': MeanIoU(CLASSES, input_format='index')(guess, labels),
    'smp iou_score, macro': smp.iou_score(*counts, reduction='macro'),
    'smp iou_score, micro': smp.iou_score(*counts, reduction='micro'),
    'kornia mean_iou': kornia.metrics.mean_iou(guess, labels, CLASSES).mean(),
    'monai MeanIoU': of_monai(),
}
seen = {name: round(value.item(), 3) for name, value in seen.items()}
for name, value in seen.items():
    print(f'{name}: {value:.3f}')
whole, jaccard, *others = seen.values()
assert whole == jaccard == 0.554
assert others == [0.5, 0.666, 0.802, 0.688, 0.717], 'the behaviour has changed'
PY
