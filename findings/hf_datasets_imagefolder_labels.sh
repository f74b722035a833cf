#!/usr/bin/env bash
# datasets 5.2.0, torchvision 0.29.1: of folders in class folders the first makes the last one the class.
#
# Both read images of root/CLASS/FILE as classes. Where a class folder has folders (cameras, days, patients, scenes),
# torchvision's ImageFolder walks through them and keeps the class, as mmpretrain's CustomDataset does. imagefolder of
# datasets takes the folder that the file lies in: with root/bus/day and root/car/day the classes are the hours of the
# day. The counts of images agree, the number of classes may too, and a network learns it well. If the depth differs
# among the files, or the last folder has one name in all classes, there is no label column at all. A metadata file is
# another trap: images that it does not list are left out.
# Nothing is said in any of these cases.
# Remedy: look at features['label'].names and at the number of images; a metadata file with a label for each image.
#
# Output seen (two images for each folder):
#   bus/day bus/night car/day car/night: torchvision {'bus': 4, 'car': 4}, datasets {'day': 4, 'night': 4}
#   bus car car/old: torchvision {'bus': 2, 'car': 4}, datasets {None: 6}
#   bus/images car/images: torchvision {'bus': 2, 'car': 2}, datasets {None: 4}
#   bus car: torchvision {'bus': 2, 'car': 2}, datasets {'bus': 2, 'car': 2}
#   bus car, metadata.csv with three of four images: datasets {'big': 2, 'small': 1}
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0 datasets==5.2.0
cd "$tmp"
HF_HUB_OFFLINE=1 HF_HOME="$tmp/home" "$tmp/venv/bin/python" -W ignore - <<'PY'
from collections import Counter
from pathlib import Path

import datasets
from datasets import ClassLabel
from PIL import Image
from torchvision.datasets import ImageFolder

datasets.disable_progress_bars()


def make(name, folders):
    for place, folder in enumerate(folders):
        path = Path(name, folder)
        path.mkdir(parents=True, exist_ok=True)
        for number in range(2):
            Image.new('RGB', (8, 8), (place, number, 0)).save(path / f'{number}.png')
    return name


def by_torchvision(root):
    folder = ImageFolder(root)
    return dict(sorted(Counter(folder.classes[label] for _, label in folder.samples).items()))


def by_datasets(root):
    data = datasets.load_dataset('imagefolder', data_dir=root, split='train')
    feature = data.features.get('label')
    labels = [None] * len(data) if feature is None else data['label']
    return dict(Counter(feature.names[label] if isinstance(feature, ClassLabel) else label for label in labels))


def both(folders):
    root = make('_'.join(folders).replace('/', '-'), folders)
    found = by_torchvision(root), by_datasets(root)
    print(f'{" ".join(folders)}: torchvision {found[0]}, datasets {found[1]}')
    return found


nested = both(['bus/day', 'bus/night', 'car/day', 'car/night'])
assert nested == ({'bus': 4, 'car': 4}, {'day': 4, 'night': 4}), 'the behaviour has changed'
assert both(['bus', 'car', 'car/old']) == ({'bus': 2, 'car': 4}, {None: 6}), 'the behaviour has changed'
assert both(['bus/images', 'car/images']) == ({'bus': 2, 'car': 2}, {None: 4}), 'the behaviour has changed'
plain = {'bus': 2, 'car': 2}
assert both(['bus', 'car']) == (plain, plain)
root = make('listed', ['bus', 'car'])
Path(root, 'metadata.csv').write_text('file_name,label\nbus/0.png,big\nbus/1.png,big\ncar/0.png,small\n')
listed = by_datasets(root)
print('bus car, metadata.csv with three of four images: datasets', listed)
assert listed == {'big': 2, 'small': 1}, 'the behaviour has changed'
PY
