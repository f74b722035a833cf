#!/usr/bin/env bash
# pytorch-ignite 0.5.5 with torch 2.14.1: ConfusionMatrix counts uint8 labels as other classes once there are 17.
#
# ConfusionMatrix finds the cell of a pixel as classes * label + guess, and the product has the type of the labels. A
# byte holds no more than 255: with the 19 classes of Cityscapes 19 * 14 becomes 10, so that a pixel of class 14 that
# was guessed as 14 is counted as class 1 guessed as 5. The sum of the matrix is right, each entry is possible,
# nothing is said. IoU, mIoU, DiceCoefficient, cmAccuracy, cmPrecision and cmRecall are all made of it. A network that
# is right everywhere gets 0 for the last five classes and less for nine others; with 16 classes it gets 1.
# Label maps are bytes wherever they come from an image file: np.asarray of a Pillow image, PILToTensor, decode_image,
# tv_tensors.Mask. The loss wants int64, so that many convert the labels in that line only. Accuracy, Precision and
# Recall of ignite, and torchmetrics, smp and kornia, take bytes well; torcheval refuses them.
# Remedy: output_transform=lambda output: (output[0], output[1].long()) in ConfusionMatrix.
#
# Output seen (a network that is right in each pixel; mIoU and pixel accuracy by the matrix, and Accuracy beside them):
#   16 classes: int64 mIoU 1.000, cmAccuracy 1.000, Accuracy 1.000; uint8 mIoU 1.000, cmAccuracy 1.000, Accuracy 1.000
#   19 classes: int64 mIoU 1.000, cmAccuracy 1.000, Accuracy 1.000; uint8 mIoU 0.491, cmAccuracy 0.737, Accuracy 1.000
#   150 classes: int64 mIoU 1.000, cmAccuracy 1.000, Accuracy 1.000; uint8 mIoU 0.000, cmAccuracy 0.013, Accuracy 1.000
#   IoU of 19 classes, uint8: 1.0 0.5 0.5 0.5 0.5 0.3 0.5 0.5 0.5 0.5 1.0 1.0 1.0 1.0 0.0 0.0 0.0 0.0 0.0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 pytorch-ignite==0.5.5

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from ignite.engine import Engine
from ignite.metrics import Accuracy, ConfusionMatrix, IoU, mIoU
from ignite.metrics.confusion_matrix import cmAccuracy


def right_network(_, labels):
    """Scores that are right in each pixel, and the labels as they came from the loader."""
    scores = torch.nn.functional.one_hot(labels.long(), right_network.classes).movedim(-1, 1)
    return scores.float(), labels


def measured(classes, dtype):
    """Each class has 40 pixels, in one batch."""
    right_network.classes = classes
    matrix = ConfusionMatrix(classes)
    metrics = {'IoU': IoU(matrix), 'mIoU': mIoU(matrix), 'cmAccuracy': cmAccuracy(matrix), 'Accuracy': Accuracy()}
    evaluator = Engine(right_network)
    for name, metric in metrics.items():
        metric.attach(evaluator, name)
    labels = torch.arange(classes).repeat(40).reshape(1, 40, classes)
    found = evaluator.run([labels.to(dtype)]).metrics
    return found.pop('IoU').tolist(), {name: round(float(value), 3) for name, value in found.items()}


def text(values):
    return ', '.join(f'{name} {value:.3f}' for name, value in values.items())


seen = {}
for classes in (16, 19, 150):
    seen[classes] = [measured(classes, dtype) for dtype in (torch.int64, torch.uint8)]
    (_, wide), (_, byte) = seen[classes]
    print(f'{classes} classes: int64 {text(wide)}; uint8 {text(byte)}')
    assert set(wide.values()) == {1.0} and byte['Accuracy'] == 1.0
ious = [round(iou, 1) for iou in seen[19][1][0]]
print('IoU of 19 classes, uint8:', *ious)
assert set(seen[16][1][1].values()) == {1.0}
assert seen[19][1][1]['mIoU'] < 0.7 and seen[150][1][1]['mIoU'] < 0.05, 'the behaviour has changed'
assert ious[14:] == [0.0] * 5 and max(ious[1:10]) == 0.5, 'the behaviour has changed'
PY
