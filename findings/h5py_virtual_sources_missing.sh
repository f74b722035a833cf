#!/usr/bin/env bash
# h5py 3.16.0: a virtual dataset whose source files are not found reads as zeros: black images, labels of class 0.
#
# A virtual dataset shows the arrays of many HDF5 files as one. It stores the names of those files as they were given.
# HDF5 looks for a name in the folder of the virtual file, then in the working folder. A program that runs in the
# project's root and names 'data/0.h5' for the file 'data/all.h5' gets a file that is right there, and zeros alone in
# every other working folder (a notebook, a job of a cluster, a worker in a container). A source that was deleted or
# renamed, one that may not be read, or a dataset name with a slip gives zeros for its part. There is no error and no
# warning, also with the first access; shape and dtype are right. HDF5's guide has one line on it (the fill value is
# shown), and the fill value is 0 where none is given. A training on such a file runs, and the background scores well.
# Remedy: names relative to the virtual file, fillvalue=255 for labels, and a look at virtual_sources() on opening.
#
# Output seen (each of two source files has four labels: 1s in the first, 2s in the second):
#   where it was written: [1, 1, 1, 1, 2, 2, 2, 2]
#   other working folder: [0, 0, 0, 0, 0, 0, 0, 0]
#   names relative to the file: [1, 1, 1, 1, 2, 2, 2, 2]
#   the same, second source gone: [1, 1, 1, 1, 0, 0, 0, 0]
#   the same, with fill value 255: [1, 1, 1, 1, 255, 255, 255, 255]
#   a slip in the name: [0, 0, 0, 0, 0, 0, 0, 0]
#   found by virtual_sources(): ['1.h5']
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 h5py==3.16.0
cd "$tmp"
"$tmp/venv/bin/python" -W error - <<'PY'
import os
from pathlib import Path

import h5py
import numpy as np

folder = Path('data').resolve()
folder.mkdir()
for number in range(2):
    with h5py.File(folder / f'{number}.h5', 'w') as file:
        file['labels'] = np.full(4, number + 1, np.uint8)


def write(name, place, dataset='labels', **options):
    """A virtual dataset of both files, whose names are those of `place`."""
    layout = h5py.VirtualLayout(shape=(8,), dtype='uint8')
    for number in range(2):
        layout[4 * number : 4 * number + 4] = h5py.VirtualSource(f'{place}{number}.h5', dataset, shape=(4,))
    with h5py.File(folder / name, 'w') as file:
        file.create_virtual_dataset('labels', layout, **options)


def read(title, name):
    with h5py.File(folder / name) as file:
        labels = file['labels'][...].tolist()
    print(f'{title}: {labels}')
    return labels


whole = [1] * 4 + [2] * 4
write('by_root.h5', 'data/')
write('beside.h5', '')
write('filled.h5', '', fillvalue=255)
write('slip.h5', '', 'label')
assert read('where it was written', 'by_root.h5') == whole
os.chdir('/')
assert read('other working folder', 'by_root.h5') == [0] * 8, 'the behaviour has changed'
assert read('names relative to the file', 'beside.h5') == whole
(folder / '1.h5').unlink()
assert read('the same, second source gone', 'beside.h5') == [1] * 4 + [0] * 4, 'the behaviour has changed'
assert read('the same, with fill value 255', 'filled.h5') == [1] * 4 + [255] * 4
assert read('a slip in the name', 'slip.h5') == [0] * 8, 'the behaviour has changed'
with h5py.File(folder / 'beside.h5') as file:
    names = [source.file_name for source in file['labels'].virtual_sources()]
gone = [name for name in names if not (folder / name).exists()]
print('found by virtual_sources():', gone)
assert gone == ['1.h5']
PY
