#!/usr/bin/env bash
# onedl-mmengine 0.10.12: its Runner cannot be imported from a clean install.
#
# Classic mmengine asks for opencv-python. onedl-mmengine does not, but its hooks still import cv2 at the top. So
# `from mmengine.runner import Runner` fails until something else, such as onedl-mmcv, has installed OpenCV.
#
# Output seen:
#   mmengine 0.10.12 Runner: no module cv2
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12

"$tmp/venv/bin/python" -W ignore - <<'PY'
import mmengine

try:
    from mmengine.runner import Runner
except ModuleNotFoundError as error:
    Runner, missing = None, error.name
print('mmengine', mmengine.__version__, 'Runner:', Runner or f'no module {missing}')
assert Runner is None and missing == 'cv2', 'the behaviour has changed'
PY
