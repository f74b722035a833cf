#!/usr/bin/env bash
# onedl-mmengine 0.10.12: an image whose name has a stroke is lost without a word.
#
# Visualizer.add_image(name, image) with LocalVisBackend writes vis_image/{name}_{step}.png. The names of scalars may have
# strokes ('policy/entropy'), which TensorBoard and W&B take as groups of both. For an image the folder is not made, and
# cv2.imwrite returns False, which nobody reads: no file, no error.
#
# Output seen:
#   files: ['plain_3.png']
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 opencv-python==5.0.0.93

"$tmp/venv/bin/python" -W ignore - "$tmp" <<'PY'
import sys
from pathlib import Path

import numpy as np
from mmengine.visualization import Visualizer

visualizer = Visualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=sys.argv[1])
for name in ('plain', 'group/name'):
    visualizer.add_image(name, np.zeros((4, 4, 3), np.uint8), step=3)
files = sorted(path.name for path in Path(sys.argv[1]).rglob('vis_image/**/*.png'))
print(f'files: {files}')
assert files == ['plain_3.png'], 'the behaviour has changed'
PY
