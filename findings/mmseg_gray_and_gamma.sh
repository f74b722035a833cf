#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2 with onedl-mmcv 2.3.6: RGB2Gray weighs blue as red, and AdjustGamma takes 1 / gamma.
#
# 1. RGB2Gray has the weights 0.299, 0.587, 0.114 of red, green and blue. LoadImageFromFile gives blue, green and red,
#    as everything in a pipeline of the toolbox expects; only the preprocessor of the model turns them. So red becomes a
#    grey of 29, where it is 76 in every other program, and blue 76. What was trained by RGB2Gray and is tested on grey
#    files (color_type='grayscale'), or the other way round, sees other contrasts.
# 2. AdjustGamma(gamma) raises pixels to the power of 1 / gamma: 2 brightens. In torchvision, scikit-image, kornia and
#    albumentations gamma is the power itself, and 2 darkens. The level 64 becomes 127 here and 16 there. Settings that
#    are taken over from another library, or from its paper, so do the opposite. Results are cut down, not rounded.
# Remedy: RGB2Gray(weights=(0.114, 0.587, 0.299)), and 1 / gamma.
#
# Output seen:
#   red, green and blue: RGB2Gray 29, 150, 76; Pillow 76, 150, 29; OpenCV 76, 149, 29; weights turned 76, 150, 29
#   level 64: AdjustGamma(2) 127, AdjustGamma(0.5) 16; 255 * (64 / 255) ** 2 = 16
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93 pillow==13.0.0

cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import AdjustGamma, RGB2Gray
from PIL import Image

colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)  # red, green, blue, as Pillow has them
Image.fromarray(colours).save('colours.png')


def loaded():
    return LoadImageFromFile()({'img_path': 'colours.png'})


def greys(image):
    return np.rint(image).astype(int).ravel().tolist()


def text(values):
    return ', '.join(map(str, values))


gray = greys(RGB2Gray(out_channels=1)(loaded())['img'])
turned = greys(RGB2Gray(out_channels=1, weights=(0.114, 0.587, 0.299))(loaded())['img'])
pillow = greys(np.asarray(Image.open('colours.png').convert('L')))
opencv = greys(cv2.imread('colours.png', cv2.IMREAD_GRAYSCALE))
print(
    f'red, green and blue: RGB2Gray {text(gray)}; Pillow {text(pillow)}; OpenCV {text(opencv)}; '
    f'weights turned {text(turned)}'
)
level = np.full((1, 1, 3), 64, np.uint8)
two, half = (int(AdjustGamma(gamma)({'img': level})['img'][0, 0, 0]) for gamma in (2.0, 0.5))
power = 255 * (64 / 255) ** 2
print(f'level 64: AdjustGamma(2) {two}, AdjustGamma(0.5) {half}; 255 * (64 / 255) ** 2 = {power:.0f}')
assert pillow == turned == [76, 150, 29] and np.abs(np.subtract(opencv, turned)).max() <= 1
assert gray == [29, 150, 76], 'the behaviour has changed'
assert two == 127 and half == int(power), 'the behaviour has changed'
PY
