#!/usr/bin/env bash
# grad-cam 1.5.7 with numpy 2.4.6 and torch 2.14.1: EigenCAM of an object at the upper left shows all but the object.
#
# EigenCAM and EigenGradCAM project the features on their first principal component. A component has no sign of its own:
# it and its negative are equally good. grad-cam takes the sign that numpy's svd happens to return, sets what is below 0
# to 0 and stretches the rest to 0..1. The svd makes its sign from the first pixel. So an object that covers the upper
# left pixel of the features is black in its map, and the background is marked. The map of a mirrored image can be the
# complement of the mirrored map. With noise in the features some maps of objects elsewhere are turned, too.
# Both signs look like a map. eigen_smooth=True of the other methods goes through the same function.
# Remedy: turn the sign so that the map goes with the mean of the features, or take GradCAM, LayerCAM or KPCA_CAM.
#
# Output seen (mean of the map on the object and on the rest, over 20 networks):
#   GradCAM: upper left 0.93 and 0.08; upper right 0.93 and 0.08; middle 0.94 and 0.08
#   EigenCAM: upper left 0.00 and 0.52; upper right 0.92 and 0.00; middle 0.92 and 0.00
#   EigenGradCAM: upper left 0.00 and 0.53; upper right 0.92 and 0.00; middle 0.92 and 0.00
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 grad-cam==1.5.7

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import torch
from pytorch_grad_cam import EigenCAM, EigenGradCAM, GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

SIZE, SIDE, NETWORKS = 32, 10, 20
places = {'upper left': (0, 0), 'upper right': (0, SIZE - SIDE), 'middle': (11, 11)}


def network(seed):
    """A network whose features are bright where the image is, in 16 strengths."""
    torch.manual_seed(seed)
    bright = torch.nn.Conv2d(3, 16, 1, bias=False)
    head = torch.nn.Linear(16, 2)
    for weights in (bright.weight, head.weight):
        torch.nn.init.uniform_(weights, 0.1, 1.0)
    return torch.nn.Sequential(bright, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head).eval()


def means(method, place):
    """Mean of the map on the object and elsewhere."""
    top, left = place
    on_object = np.zeros((SIZE, SIZE), bool)
    on_object[top : top + SIDE, left : left + SIDE] = True
    seen = []
    for seed in range(NETWORKS):
        model = network(seed)
        image = torch.rand(1, 3, SIZE, SIZE) * 0.2 + torch.from_numpy(on_object)
        shown = method(model=model, target_layers=[model[1]])(image, targets=[ClassifierOutputTarget(1)])[0]
        seen.append((shown[on_object].mean(), shown[~on_object].mean()))
    return np.mean(seen, 0)


found = {}
for method in (GradCAM, EigenCAM, EigenGradCAM):
    for place, corner in places.items():
        found[method.__name__, place] = means(method, corner)
    texts = [f'{place} {{:.2f}} and {{:.2f}}'.format(*found[method.__name__, place]) for place in places]
    print(f'{method.__name__}:', '; '.join(texts))
assert all(found['GradCAM', place][0] > 0.5 > found['GradCAM', place][1] for place in places)
for name in ('EigenCAM', 'EigenGradCAM'):
    turned = [found[name, place][0] < found[name, place][1] for place in places]
    assert any(turned), 'the behaviour has changed'
PY
