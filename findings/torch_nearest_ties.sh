#!/usr/bin/env bash
# torch 2.14.1, torchvision 0.29.1: nearest sampling half way between two pixels loses every second row and column.
#
# grid_sample(mode='nearest') rounds positions half to even: 0.5 to 0, 1.5 and 2.5 to 2. Where a warp lands half way,
# every second pixel comes twice and the others never, in both directions. That is no rare case: quarter turns of masks
# with an even and an odd side are such warps, as RandomRotation and rotate of torchvision make them, and so are shifts
# of half a pixel. Thin structures vanish or double. Pillow keeps all labels, and torchvision does with expand=True.
# Remedy: torch.rot90 for quarter turns; else shift the grid by a thousandth of a pixel.
#
# Output seen (a mask in which each pixel has its own label):
#   shift by half a pixel: [0, 2, 2, 4, 4, 6, 6], with a thousandth more [1, 2, 3, 4, 5, 6, 7]
#   lines on columns 1 and 4 of 8, shifted: columns [] and [3, 4]
#   quarter turn of 6 x 8: 36 of 36 labels, with expand 48 of 48, Pillow 36
#   quarter turn of 5 x 8: 9 of 25 labels, with expand 40 of 40, Pillow 25
#   quarter turn of 48 x 65: 990 of 2304 labels, with expand 3120 of 3120, Pillow 2304
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms.v2.functional import rotate


def shifted(row, pixels):
    """The row, read the given number of pixels further to the right."""
    theta = torch.tensor([[[1.0, 0.0, 2 * pixels / len(row)], [0.0, 1.0, 0.0]]])
    grid = F.affine_grid(theta, (1, 1, 1, len(row)), align_corners=False)
    return F.grid_sample(row.float()[None, None, None], grid, 'nearest', 'border', align_corners=False).flatten().int()


half, more = (shifted(torch.arange(8), pixels)[:7].tolist() for pixels in (0.5, 0.501))
print(f'shift by half a pixel: {half}, with a thousandth more {more}')
lines = [shifted(torch.arange(8) == column, 0.5).nonzero().flatten().tolist() for column in (1, 4)]
print(f'lines on columns 1 and 4 of 8, shifted: columns {lines[0]} and {lines[1]}')


def labels_left(height, width):
    """How many labels a quarter turn leaves: torchvision, torchvision with expand, Pillow."""
    labels = torch.arange(1, height * width + 1).view(1, height, width)
    mask = tv_tensors.Mask(labels)
    turned = rotate(mask, 90), rotate(mask, 90, expand=True)
    pillow = np.asarray(Image.fromarray(labels[0].numpy().astype(np.int32)).rotate(90))
    return [len(set(values.flatten().tolist()) - {0}) for values in (*turned, pillow)]


seen = {size: labels_left(*size) for size in ((6, 8), (5, 8), (48, 65))}
for (height, width), (same, expanded, pillow) in seen.items():
    side = min(height, width) ** 2
    print(f'quarter turn of {height} x {width}: {same} of {side} labels, ', end='')
    print(f'with expand {expanded} of {height * width}, Pillow {pillow}')
assert more == [1, 2, 3, 4, 5, 6, 7] and seen[6, 8][0] == 36
assert all(seen[height, width][1:] == [height * width, min(height, width) ** 2] for height, width in seen)
assert half == [0, 2, 2, 4, 4, 6, 6] and lines == [[], [3, 4]], 'the behaviour has changed'
assert seen[5, 8][0] == 9 and seen[48, 65][0] < 1200, 'the behaviour has changed'
PY
