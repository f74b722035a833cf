#!/usr/bin/env bash
# onedl-mmpretrain 1.3.6: CustomDataset numbers folders by the alphabet, and takes `classes` in any order as their names.
#
# CustomDataset(data_prefix=...) of folders, one a class, numbers the folders in sorted order. `classes` gives names to
# the numbers and is compared in its length alone. So classes=['dog', 'cat'] calls the images of the folder cat "dog",
# in every prediction and table, without a word. A validation whose folders are others, as many, has other numbers.
# Remedy: classes=sorted(folders), and the same folders in all parts.
#
# Output seen:
#   cat/a.png has the label 0, which is named dog
#   dog/a.png has the label 1, which is named cat
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 opencv-python==5.0.0.93 ftfy onedl-mmengine==0.10.12 \
    onedl-mmcv==2.3.6 onedl-mmpretrain==1.3.6

mkdir -p "$tmp/data/cat" "$tmp/data/dog"
touch "$tmp/data/cat/a.png" "$tmp/data/dog/a.png"
"$tmp/venv/bin/python" -W ignore - "$tmp/data" <<'PY'
import sys
from pathlib import Path

from mmpretrain.datasets import CustomDataset

dataset = CustomDataset(data_prefix=sys.argv[1], classes=['dog', 'cat'], pipeline=[])
found = {}
for place in range(len(dataset)):
    info = dataset.get_data_info(place)
    path = Path(info['img_path'])
    found[path.parent.name] = dataset.metainfo['classes'][info['gt_label']]
    print(f'{path.parent.name}/{path.name} has the label {info["gt_label"]}, which is named {found[path.parent.name]}')
assert found == {'cat': 'dog', 'dog': 'cat'}, 'the behaviour has changed'
PY
