#!/usr/bin/env bash
# onedl-mmpretrain 1.3.6 with onedl-mmcv 2.3.6: Lighting makes white pixels black and black pixels white.
#
# Lighting (PCA jitter, as for AlexNet) adds a few levels of one colour to the whole image. The sum is made in floats
# and turned back into bytes without a bound: 255 + 4 becomes 3, 0 - 4 becomes 252. In two draws of five every
# overexposed area of an image (a sky, paper, a lamp) turns dark in one to three channels, and every black one bright.
# Bytes are what all pipelines of the toolbox have there; Brightness, ColorJitter and RandAugment keep to their range.
# The configs of ResNeSt and RegNet have Lighting with alphastd=0.1, as below. The curves of a training look as usual.
# Seen on x86; another CPU may take negative numbers as 0.
# Remedy: a transform of one's own that turns the image into floats before Lighting, and np.clip behind it.
#
# Output seen (1000 draws with the numbers of the ResNeSt configs):
#   white pixels that get a channel below 50:  410 of 1000
#   black pixels that get a channel above 200: 414 of 1000
#   grey pixels, largest change: 9 levels
#   the same in floats, with np.clip: white 0, black 0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 ftfy onedl-mmengine==0.10.12 \
    onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from mmpretrain.datasets.transforms import Lighting

DRAWS = 1000
lighting = Lighting(
    eigval=[55.4625, 4.7940, 1.1475],
    eigvec=[[-0.5836, -0.6948, 0.4203], [-0.5808, -0.0045, -0.8140], [-0.5675, 0.7192, 0.4009]],
    alphastd=0.1,
)


def draws(level, kind=np.uint8):
    """A pixel of one level after each of many draws, (draws, channels)."""
    np.random.seed(0)
    pixel = np.full((1, 1, 3), level, kind)
    pixels = [lighting({'img': pixel})['img'].ravel() for _ in range(DRAWS)]
    return np.clip(np.stack(pixels).astype(np.float64), 0, 255)


white, black, grey = draws(255), draws(0), draws(128)
turned = int((white < 50).any(1).sum()), int((black > 200).any(1).sum())
change = np.abs(grey - 128).max()
print(f'white pixels that get a channel below 50:  {turned[0]} of {DRAWS}')
print(f'black pixels that get a channel above 200: {turned[1]} of {DRAWS}')
print(f'grey pixels, largest change: {change:.0f} levels')
bounded = int((draws(255, np.float32) < 50).sum()), int((draws(0, np.float32) > 200).sum())
print(f'the same in floats, with np.clip: white {bounded[0]}, black {bounded[1]}')
assert change < 50 and bounded == (0, 0), 'the jitter itself is small'
assert turned[0] > DRAWS / 4, 'the behaviour has changed'
PY
