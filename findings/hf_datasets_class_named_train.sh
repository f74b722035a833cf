#!/usr/bin/env bash
# datasets 5.2.0: imagefolder takes a class 'train' or 'test tube' for a split: images get lost, or leak into others.
#
# Without data_files, load_dataset('imagefolder') looks for the words of splits (train, val, dev, test, eval ...) in all
# folders of a path, those of the classes too, also as a word beside a space, '-', '_', '.' or a digit. VOC, COCO,
# CIFAR-100 and DomainNet have a class 'train'. With one folder for each class, such a class is all that is loaded, and
# without labels; the other classes are gone. With a folder for each split above the classes, which the guide shows, an
# image counts for each split whose word is in its path: validation images of the class 'train' are in the training set
# as well, and training images of a 'test tube' make a test set. Nothing is said.
# Remedy: name the files of each split, data_files={'train': 'train/**', 'validation': 'val/**'}, and count the images.
#
# Output seen (three images for each class and split):
#   bus, car, tram: train {'bus': 3, 'car': 3, 'tram': 3}
#   bus, car, train: train {None: 3}
#   splits, with train: train {'bus': 3, 'train': 6} validation {'bus': 3, 'train': 3}
#   splits, with tube: train {'bus': 3, 'test tube': 3} validation {'bus': 3, 'test tube': 3} test {'test tube': 6}
#   the same with data_files: train {'bus': 3, 'train': 3} validation {'bus': 3, 'train': 3}
#   the same with data_files: train {'bus': 3, 'test tube': 3} validation {'bus': 3, 'test tube': 3}
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 pillow==13.0.0 datasets==5.2.0
cd "$tmp"
HF_HUB_OFFLINE=1 HF_HOME="$tmp/home" "$tmp/venv/bin/python" - <<'PY'
from collections import Counter
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()
FILES = {'train': 'train/**', 'validation': 'val/**'}


def folder(name, splits, classes):
    for split in splits:
        for number, label in enumerate(classes):
            path = Path(name, split, label)
            path.mkdir(parents=True)
            for image in range(3):
                Image.new('RGB', (8, 8), (number, image, len(split))).save(path / f'{image}.png')
    return name


def found(title, name, **options):
    """How many images of which class are in which split."""
    counts = {}
    for split, dataset in datasets.load_dataset('imagefolder', data_dir=name, **options).items():
        feature = dataset.features.get('label')
        labels = dataset['label'] if feature else [None] * len(dataset)
        counts[split] = dict(Counter(feature.names[label] if feature else None for label in labels))
    print(f'{title}:', *(f'{split} {count}' for split, count in counts.items()))
    return counts


whole = {label: 3 for label in ('bus', 'car', 'tram')}
assert found('bus, car, tram', folder('a', [''], list(whole))) == {'train': whole}
lost = found('bus, car, train', folder('b', [''], ['bus', 'car', 'train']))
assert lost == {'train': {None: 3}}, 'the behaviour has changed'

trains, tubes = (folder(name, ['train', 'val'], ['bus', name]) for name in ('train', 'test tube'))
leak = found('splits, with train', trains)
assert leak == {'train': {'bus': 3, 'train': 6}, 'validation': {'bus': 3, 'train': 3}}, 'the behaviour has changed'
leak = found('splits, with tube', tubes)
assert leak['test'] == {'test tube': 6}, 'the behaviour has changed'
for name in (trains, tubes):
    counts = {'bus': 3, name: 3}
    assert found('the same with data_files', name, data_files=FILES) == {'train': counts, 'validation': counts}
PY
