#!/usr/bin/env bash
# onedl-mmsegmentation 1.4.2: --stride_size of the converters of Potsdam, Vaihingen and LEVIR-CD moves nothing.
#
# The converters cut large images into patches of --clip_size. --stride_size is the "stride of clipping original
# images", 256 by default; patches of 512 are so to overlap by one half. The number of patches is computed from the
# stride, but their places are multiples of clip_size; those that lie beyond the border are moved back into the image,
# one file over the other. So a tile of 1024 x 1024 gives 4 patches where 9 are asked for, and a smaller stride gives no
# more images to train on. A comment in the program says 20 x 20 patches for one of 5120 x 5120; it makes 10 x 10.
# Remedy: one's own loop over range(0, side - clip + 1, stride).
#
# Output seen (one tile of 1024 x 1024, patches of 512):
#   stride 256: 4 patches at [0, 512], 9 asked for
#   stride 512: 4 patches at [0, 512], 4 asked for
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

SIDE, CLIP = 1024, 512
converter = files('mmseg') / '.mim' / 'tools' / 'dataset_converters' / 'potsdam.py'
Path('raw').mkdir()
cv2.imwrite('top_potsdam_2_10_RGB.tif', np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8))
with zipfile.ZipFile('raw/images.zip', 'w') as archive:
    archive.write('top_potsdam_2_10_RGB.tif')

found = {}
for stride in (256, 512):
    out = Path(f'stride-{stride}')
    command = [sys.executable, str(converter), 'raw', '-o', str(out), '--clip_size', str(CLIP)]
    subprocess.run([*command, '--stride_size', str(stride)], check=True, capture_output=True)
    corners = [patch.stem.split('_')[2:4] for patch in (out / 'img_dir' / 'train').iterdir()]
    places = sorted({int(x) for x, _ in corners} | {int(y) for _, y in corners})
    asked = ((SIDE - CLIP) // stride + 1) ** 2
    found[stride] = len(corners), places, asked
    print(f'stride {stride}: {len(corners)} patches at {places}, {asked} asked for')
assert found[512] == (4, [0, 512], 4)
assert found[256] == (4, [0, 512], 9), 'the behaviour has changed'
PY
