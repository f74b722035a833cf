#!/usr/bin/env bash
# h5py 3.16.0, zarr 3.1.6: of the ignored label -1 an HDF5 file of bytes makes class 0, a zarr array of bytes makes 255.
#
# An array of int64, which torch and most converters give, may be written into a uint8 dataset. HDF5 then converts each
# number by its own rule and takes the nearest one that fits: -1 becomes 0, which is the first class or the background,
# and all above 255 become 255, which most trainings ignore. NumPy and zarr wrap around instead: -1 becomes 255, as many
# expect it from PNG files made by astype('uint8'), and 256 becomes 0. The same goes for create_dataset(data=...,
# dtype='uint8') and for reading by Dataset.astype('uint8'). A fill value of -1 becomes 0 as well, so pixels that were
# never written are class 0. Neither library says a word, while both refuse the Python number -1 for a single pixel. So
# the same labels train differently from the two formats.
# Remedy: map ignored labels to 255 and check the range before writing; write arrays that have the dataset's dtype.
#
# Output seen:
#   labels: [-1, 0, 1, 254, 255, 256, 300]
#   numpy astype: [255, 0, 1, 254, 255, 0, 44]
#   zarr: [255, 0, 1, 254, 255, 0, 44]
#   h5py, written: [0, 0, 1, 254, 255, 255, 255]
#   h5py, create_dataset: [0, 0, 1, 254, 255, 255, 255]
#   h5py, read with astype: [0, 0, 1, 254, 255, 255, 255]
#   h5py, fill value -1: [0, 0, 0, 0, 0, 0, 0]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 h5py==3.16.0 zarr==3.1.6
cd "$tmp"
"$tmp/venv/bin/python" -W error - <<'PY'
import h5py
import numpy as np
import zarr

labels = np.array([-1, 0, 1, 254, 255, 256, 300])
shape = labels.shape
array = zarr.create_array(store='labels.zarr', shape=shape, dtype='uint8')
array[...] = labels
file = h5py.File('labels.h5', 'w')
written = file.create_dataset('written', shape=shape, dtype='uint8')
written[...] = labels
found = {
    'numpy astype': labels.astype('uint8'),
    'zarr': array[...],
    'h5py, written': written[...],
    'h5py, create_dataset': file.create_dataset('created', data=labels, dtype='uint8')[...],
    'h5py, read with astype': file.create_dataset('whole', data=labels).astype('uint8')[...],
    'h5py, fill value -1': file.create_dataset('empty', shape=shape, dtype='uint8', fillvalue=-1)[...],
}
print('labels:', labels.tolist())
for name, values in found.items():
    assert values.dtype == np.uint8
    print(f'{name}:', values.tolist())

for store in (array, written):
    try:
        store[0] = -1
    except OverflowError:
        continue
    raise AssertionError('a single -1 is taken')

wrapped, clipped = [255, 0, 1, 254, 255, 0, 44], [0, 0, 1, 254, 255, 255, 255]
assert found['numpy astype'].tolist() == found['zarr'].tolist() == wrapped, 'the behaviour has changed'
for name in ('h5py, written', 'h5py, create_dataset', 'h5py, read with astype'):
    assert found[name].tolist() == clipped, 'the behaviour has changed'
assert not found['h5py, fill value -1'].any()
PY
