#!/usr/bin/env bash
# torch 2.14.1: F.interpolate with antialias=True and align_corners=True moves the image, by (s - 1) / 2 of its pixels.
#
# align_corners=True promises that the middles of the corner pixels stay where they are. With antialias=True it takes
# their scale, (in - 1) / (out - 1), but the positions of the other convention, scale * (i + 0.5). So nothing is kept:
# not the corners, not the middle, and the result of a mirrored image is not the mirrored result. Made smaller by s,
# the image lies (s - 1) / 2 pixels too far up and left. Made larger, where there is nothing to smooth and antialias
# changes nothing with align_corners=False, it lies up to half a pixel the other way. Bilinear and bicubic alike. The
# values look right, a picture of them too. Whoever adds antialias=True to a model with align_corners=True, as some
# segmentation heads have it, shifts features against labels, and a flip at test time does not see the mirrored
# features.
# Remedy: antialias=True with align_corners=False only, which agrees with Pillow.
#
# Output seen (a ramp of 4 pixels, and its mirror image, mirrored back):
#   align_corners=True, antialias=False, 0 1 2 3 to 7 pixels: [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0], mirrored the same
#   align_corners=True, antialias=True, 0 1 2 3 to 7 pixels: [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75],
#     mirrored [0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]
#   align_corners=True, antialias=True, 0 1 2 3 to 2 pixels: [1.25, 2.67], mirrored [0.33, 1.75]
#   align_corners=False: the same as mirrored in all three
#   65 to 9 pixels: a spot in the middle is -3.5 pixels of the image off, with align_corners=False 0.0
#   65 to 17 pixels: a spot in the middle is -1.5 pixels of the image off, with align_corners=False 0.0
#   65 to 33 pixels: a spot in the middle is -0.5 pixels of the image off, with align_corners=False 0.0
#   65 to 129 pixels: a spot in the middle is 0.25 pixels of the image off, with align_corners=False 0.0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile torch==2.14.1 numpy==2.4.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from torch.nn import functional


def resized(images, side, align_corners, antialias):
    size = (side if images.shape[2] > 1 else 1, side)
    return functional.interpolate(images, size, mode='bilinear', align_corners=align_corners, antialias=antialias)


def listed(values):
    return [round(value, 2) for value in values.flatten().tolist()]


ramp = torch.arange(4.0).reshape(1, 1, 1, 4)
symmetric = {}
for align_corners in (True, False):
    for side, antialias in ((7, False), (7, True), (2, True)):
        plain = listed(resized(ramp, side, align_corners, antialias))
        twice = listed(resized(ramp.flip(3), side, align_corners, antialias).flip(3))
        name = f'align_corners={align_corners}, antialias={antialias}, 0 1 2 3 to {side} pixels'
        symmetric[align_corners, side, antialias] = plain == twice
        print(f'{name}: {plain}, mirrored {"the same" if plain == twice else twice}')

SIDE = 65
rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing='ij')
spot = torch.exp(-((rows - 32.0) ** 2 + (columns - 32.0) ** 2) / 72)[None, None]
off = {}
for side in (9, 17, 33, 129):
    for align_corners in (True, False):
        across = resized(spot, side, align_corners, antialias=True).sum(dim=(0, 1, 2))
        at = (across * torch.arange(side)).sum() / across.sum() - (side - 1) / 2
        scale = (SIDE - 1) / (side - 1) if align_corners else SIDE / side
        off[side, align_corners] = round(at.item() * scale, 2) + 0
    print(
        f'65 to {side} pixels: a spot in the middle is {off[side, True]} pixels of the image off,'
        f' with align_corners=False {off[side, False]}'
    )
assert symmetric == {key: key[0] is False or key[2] is False for key in symmetric}, 'the behaviour has changed'
assert all(off[side, False] == 0 for side in (9, 17, 33, 129))
assert off[9, True] < -3 and off[17, True] < -1 and off[129, True] > 0.2, 'the behaviour has changed'
PY
