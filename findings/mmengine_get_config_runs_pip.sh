#!/usr/bin/env bash
# onedl-mmengine 0.10.12 with onedl-mmsegmentation 1.4.2: reading a config replaces the installed toolbox.
#
# 'mmseg::...' is looked up as the distribution 'mmsegmentation'. Only 'onedl-mmsegmentation' is here, so mmengine
# finds nothing, and get_config() runs `python -m pip install mmsegmentation`: whatever python comes first on
# PATH gets classic mmsegmentation 1.2.2. In an active environment its files overwrite those of the onedl toolbox:
# the call returns the config of the other version, and the next `import mmseg` fails on the version of mmcv.
# `import mmseg` works before the call, so the name of the module would do for the lookup.
# This script keeps that pip inside its own environment.
#
# Output seen:
#   mmseg before: 1.4.2
#   get_config:   Config
#   mmseg after:  1.2.2
#   import mmseg: AssertionError: MMCV==2.3.6 is used but incompatible. Please install mmcv>=2.0.0rc4.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2 \
    opencv-python==5.0.0.93

echo mmsegmentation==1.2.2 >"$tmp/constraints.txt"
PIP_QUIET=2 PIP_CONSTRAINT="$tmp/constraints.txt" PIP_REQUIRE_VIRTUALENV=1 PATH="$tmp/venv/bin:$PATH" \
    "$tmp/venv/bin/python" -W ignore - <<'PY'
import pathlib
import runpy
import subprocess
import sys
from importlib.util import find_spec

from mmengine.hub import get_config

folder = pathlib.Path(find_spec('mmseg').submodule_search_locations[0])


def version_of_mmseg():
    return runpy.run_path(folder / 'version.py')['__version__']


before = version_of_mmseg()
result = type(get_config('mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py')).__name__
after = version_of_mmseg()
error = subprocess.run([sys.executable, '-c', 'import mmseg'], capture_output=True, text=True).stderr
print('mmseg before:', before)
print('get_config:  ', result)
print('mmseg after: ', after)
print('import mmseg:', error.strip().splitlines()[-1])
assert (before, after) == ('1.4.2', '1.2.2') and 'AssertionError' in error, 'the behaviour has changed'
PY
