#!/usr/bin/env bash
# datasets 5.2.0: class_encode_column() gives integer labels other numbers, in the order of their text, and per split.
#
# train_test_split(stratify_by_column='label') takes ClassLabel columns alone, and class_encode_column() makes them.
# It turns the labels into text, sorts the text and counts: '10' and '11' come before '2'. So with more than ten classes
# class 2 becomes 4 and class 10 becomes 2. The ignored label -1 becomes class 0, and all others move up by one.
# A DatasetDict encodes each split on its own: a split that lacks a class counts differently from the others. The old
# numbers are left in the names of the feature alone, which nobody reads whose classes are numbers. Nothing is said, a
# training runs as well as before, and class names, class weights, a teacher or a checkpoint from before do not fit.
# Remedy: cast_column('label', ClassLabel(names=...)) with the names in the order of the numbers, on all splits.
#
# Output seen:
#   twelve classes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] -> [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3]
#   with an ignored one: [-1, 0, 1, 2] -> [0, 1, 2, 3]
#   splits: train {0: 0, 1: 1, 2: 2}, val {0: 0, 2: 1}
#   cast_column: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] and a stratified half of each
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 datasets==5.2.0
cd "$tmp"
HF_HUB_OFFLINE=1 HF_HOME="$tmp/home" "$tmp/venv/bin/python" - <<'PY'
import datasets
from datasets import ClassLabel, Dataset, DatasetDict

datasets.disable_progress_bars()


def of(labels):
    return Dataset.from_dict({'label': labels})


def labels_of(dataset):
    return list(dataset['label'])


numbers = list(range(12))
encoded = labels_of(of(numbers).class_encode_column('label'))
print(f'twelve classes: {numbers} -> {encoded}')
ignored = labels_of(of([-1, 0, 1, 2]).class_encode_column('label'))
print(f'with an ignored one: {[-1, 0, 1, 2]} -> {ignored}')
stored = {'train': [0, 1, 2], 'val': [0, 2]}
splits = DatasetDict({split: of(labels) for split, labels in stored.items()}).class_encode_column('label')
splits = {split: dict(zip(stored[split], labels_of(dataset))) for split, dataset in splits.items()}
print('splits:', ', '.join(f'{split} {numbering}' for split, numbering in splits.items()))

twice = of(numbers * 2).cast_column('label', ClassLabel(names=[f'class {number}' for number in numbers]))
half = twice.train_test_split(0.5, stratify_by_column='label', seed=0)['test']
print('cast_column:', labels_of(twice)[:12], 'and a stratified half of each')

assert encoded == [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3], 'the behaviour has changed'
assert ignored == [0, 1, 2, 3] and splits == {'train': {0: 0, 1: 1, 2: 2}, 'val': {0: 0, 2: 1}}
assert labels_of(twice) == numbers * 2 and sorted(labels_of(half)) == numbers
PY
