#!/usr/bin/env bash
# datasets 5.2.0: map() with an imported function returns the results from before that function's file was changed.
#
# map() keeps what it made beside the data set and takes it again if function and data are the same. A function of the
# main program is compared by its code. Of one that is imported only module and name are compared, and of an object its
# class's name and its attributes. So after a repair in labels.py (a class table, a crop, a normalization) or an upgrade
# of the library that the transform comes from, the next run trains on the old labels. The progress bar is missing, and
# that is all there is to see. Whoever then compares old and new preprocessing gets twice the same score. An issue on it
# has been open since 2021. Constants and functions that a function of the main program uses are noticed.
# Remedy: map(..., load_from_cache_file=False) after a change, or new_fingerprint= with a version of one's own code.
#
# Output seen (labels 0, 1, 2 and the table of the file labels.py; the program is run again after a change of the file):
#   table 5, 6, 7: {'imported': [5, 6, 7], 'object': [5, 6, 7], 'in main': [5, 6, 7], 'no cache': [5, 6, 7]}
#   table 8, 9, 10: {'imported': [5, 6, 7], 'object': [5, 6, 7], 'in main': [8, 9, 10], 'no cache': [8, 9, 10]}
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 datasets==5.2.0
cd "$tmp"
printf 'label\n0\n1\n2\n' > images.csv

labels() {
    cat > labels.py <<PY
TABLE = [$1]


def train_id(sample):
    return {'train_id': TABLE[sample['label']]}


class TrainId:
    def __call__(self, sample):
        return {'train_id': [$1][sample['label']]}
PY
}

cat > train.py <<'PY'
import datasets
from labels import TABLE, TrainId, train_id

datasets.disable_progress_bars()
data = datasets.load_dataset('csv', data_files='images.csv', split='train')


def in_main(sample):
    return {'train_id': TABLE[sample['label']]}


found = {
    'imported': data.map(train_id),
    'object': data.map(TrainId()),
    'in main': data.map(in_main),
    'no cache': data.map(train_id, load_from_cache_file=False),
}
print({name: list(mapped['train_id']) for name, mapped in found.items()})
PY

run() {
    labels "$1"
    found=$(HF_HUB_OFFLINE=1 HF_HOME="$tmp/home" "$tmp/venv/bin/python" -B train.py)
    echo "table $1: $found"
    [ "$found" = "$2" ] || { echo 'the behaviour has changed'; exit 1; }
}
all='[5, 6, 7]'
run '5, 6, 7' "{'imported': $all, 'object': $all, 'in main': $all, 'no cache': $all}"
run '8, 9, 10' "{'imported': $all, 'object': $all, 'in main': [8, 9, 10], 'no cache': [8, 9, 10]}"
