#!/usr/bin/env bash
# pyarrow 26.0.1: images stored from a view with other axes come back with another shape, or the same and wrong pixels.
#
# FixedShapeTensorArray.from_numpy_ndarray() is Arrow's way to put images or label maps of one shape into a table and a
# Parquet file. It takes a transposed view without a copy and notes the order of the axes as `permutation`. For a turn
# of three axes, as from channels first to channels last, it notes the inverse order: to_numpy_ndarray() gives (width,
# channels, height) with mixed pixels. With two axes changed, as for label maps that MATLAB wrote by columns,
# to_numpy_ndarray() is right, but a single item has strides that do not fit: array[0].to_numpy() has the right shape
# and wrong numbers, some of them twice and some never, unless the sides are equal. A Parquet file written from it
# has the same faults, and nothing is said. The opposite turn, to channels first, fails with an error about strides.
# Remedy: numpy.ascontiguousarray() before from_numpy_ndarray().
#
# Output seen (whether the numbers are those that were given, for the whole array, then for the first item):
#   label maps, plain: (2, 3, 4) right, (3, 4) right
#   label maps, transposed: (2, 4, 3) right, (4, 3) WRONG
#   first map given: [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
#   first map read:  [[0, 3, 6], [1, 4, 7], [2, 5, 8], [3, 6, 9]]
#   images, to channels last: (2, 5, 3, 4) WRONG, (5, 3, 4) WRONG
#   images, to channels last, contiguous: (2, 4, 5, 3) right, (4, 5, 3) right
#   label maps, transposed, from Parquet: (2, 4, 3) right, (4, 3) WRONG
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 pyarrow==26.0.1
cd "$tmp"
"$tmp/venv/bin/python" -W error - <<'PY'
import numpy as np
import pyarrow
from pyarrow import parquet

maps = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)  # channels first
turned, last = maps.transpose(0, 2, 1), images.transpose(0, 2, 3, 1)


def stored(given):
    return pyarrow.FixedShapeTensorArray.from_numpy_ndarray(given)


def check(title, given, array=None):
    array = stored(given) if array is None else array
    pairs = ((array.to_numpy_ndarray(), given), (array[0].to_numpy(), given[0]))
    right = [np.array_equal(found, wanted) for found, wanted in pairs]
    words = (f'{found.shape} {"right" if good else "WRONG"}' for (found, _), good in zip(pairs, right))
    print(f'{title}:', ', '.join(words))
    return right


assert check('label maps, plain', maps) == [True, True]
assert check('label maps, transposed', turned) == [True, False], 'the behaviour has changed'
print('first map given:', turned[0].tolist())
print('first map read: ', stored(turned)[0].to_numpy().tolist())
assert stored(turned)[0].to_numpy().shape == turned[0].shape
assert check('images, to channels last', last) == [False, False], 'the behaviour has changed'
assert check('images, to channels last, contiguous', np.ascontiguousarray(last)) == [True, True]
parquet.write_table(pyarrow.table({'label': stored(turned)}), 'maps.parquet')
column = parquet.read_table('maps.parquet')['label'].combine_chunks()
assert check('label maps, transposed, from Parquet', turned, column) == [True, False], 'the behaviour has changed'
try:
    check('images, to channels first', np.ascontiguousarray(last).transpose(0, 3, 1, 2))
except pyarrow.ArrowInvalid as error:
    assert 'strides' in str(error)
else:
    raise AssertionError('the behaviour has changed')
PY
