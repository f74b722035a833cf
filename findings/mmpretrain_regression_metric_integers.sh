#!/usr/bin/env bash
# onedl-mmpretrain 1.3.6: RegressionMetric cuts the true values to whole numbers.
#
# RegressionMetric, for networks that predict numbers (LinearRegressionHead), turns its targets into integers before it
# measures distances, as the accuracy of a classifier does with its labels. 0.9 counts as 0, 2.7 as 2, -0.9 as 0. The
# loss of the training takes the values as they are. So a network that is exactly right has an error of half a unit on
# average, and where the values lie between 0 and 1 (keypoints as shares of the image, probabilities, standardized
# values) all of them count as 0 or 1: the score is the size of the prediction, and the best checkpoint by it is the one
# that predicts zeros. Both distances add up the outputs of an image, they are no means over them.
# Remedy: another evaluator, or values in units so small that whole numbers will do.
#
# Output seen (l1 and l2 distance; lower is better):
#   the values themselves:     0.99, 0.75
#   zeros for all:             0.00, 0.00
#   values of whole numbers:   0.00, 0.00
#   by NumPy, values, zeros:   0.00, 0.99
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 ftfy onedl-mmengine==0.10.12 \
    onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import RegressionMetric
from mmpretrain.structures import DataSample

values = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))  # two numbers in [0, 1) for each image


def distances(truth, guess):
    """What the evaluator of a config reports."""
    evaluator = Evaluator(metrics=RegressionMetric())
    evaluator.process([DataSample().set_gt_score(a).set_pred_score(b) for a, b in zip(truth, guess, strict=True)])
    found = evaluator.evaluate(len(truth))
    return float(found['regression/l1_distance']), float(found['regression/l2_distance'])


right, zeros = distances(values, values), distances(values, torch.zeros_like(values))
whole = distances((10 * values).floor(), (10 * values).floor())
print(f'the values themselves:     {right[0]:.2f}, {right[1]:.2f}')
print(f'zeros for all:             {zeros[0]:.2f}, {zeros[1]:.2f}')
print(f'values of whole numbers:   {whole[0]:.2f}, {whole[1]:.2f}')
true_zeros = np.abs(values.numpy()).sum(1).mean()
print(f'by NumPy, values, zeros:   {0:.2f}, {true_zeros:.2f}')
assert whole == (0, 0)
assert zeros == (0, 0) and abs(right[0] - true_zeros) < 1e-4, 'the behaviour has changed'
PY
