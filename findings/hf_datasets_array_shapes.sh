#!/usr/bin/env bash
# datasets 5.2.0: Array2D and Array3D take an array of another shape with as many numbers, and scramble its pixels.
#
# The shape in Array2D(shape=..., dtype=...) is never compared with that of an array that is stored. The numbers are
# written in a row, and reading cuts the row by the declared shape. A wrong number of items fails on reading; the same
# number in another order of sides does not. VOC has images of 375 x 500 and of 500 x 375: in one column the tall label
# maps become broken stripes. An image with its channels last, as from Pillow, in a column declared as (3, height,
# width) becomes noise. So does cast() to a shape with swapped sides, from lists and from another Array2D. Nothing is
# said, on writing or on reading: only a look at the pictures shows it, and a training merely ends with a worse network.
# An issue of the project reports it for nested lists. An Image() column keeps the shape of each array.
# Remedy: check array.shape before storing, or use an Image() column.
#
# Output seen (the share of the pixels that are read with their value):
#   wide label map in (375, 500): 100 %
#   tall label map in (375, 500): 17 %, as (375, 500), where it was (500, 375)
#   the same, cast to (500, 375): 100 %
#   tall label map in Image(): 100 %
#   channels last in (3, 375, 500): 0 %
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 pillow==13.0.0 datasets==5.2.0
cd "$tmp"
HF_HUB_OFFLINE=1 HF_HOME="$tmp/home" "$tmp/venv/bin/python" -W error - <<'PY'
import datasets
import numpy as np
from datasets import Array2D, Array3D, Dataset, Features, Image

datasets.disable_progress_bars()
WIDE = Features({'map': Array2D((375, 500), 'uint8')})
TALL = Features({'map': Array2D((500, 375), 'uint8')})
THREE = Features({'map': Array3D((3, 375, 500), 'uint8')})

rows, columns = np.mgrid[:375, :500]
wide = (rows // 75 + 5 * (columns // 125)).astype(np.uint8)  # twenty classes in fields
tall = np.ascontiguousarray(wide.T)
image = np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8)


def stored(array, features):
    return Dataset.from_dict({'map': [array]}, features=features)


def read(dataset):
    return np.asarray(dataset.with_format('numpy')[0]['map'])


def share(found, array):
    """How many of the pixels have their value, at the same place counted from the upper left corner."""
    both = tuple(slice(min(sides)) for sides in zip(found.shape, array.shape))
    return float((found[both] == array[both]).mean())


kept = share(read(stored(wide, WIDE)), wide)
print(f'wide label map in (375, 500): {100 * kept:.0f} %')
dataset = stored(tall, WIDE)
found = read(dataset)
lost = share(found, tall)
print(f'tall label map in (375, 500): {100 * lost:.0f} %, as {found.shape}, where it was {tall.shape}')
recast = read(dataset.cast(TALL))
print(f'the same, cast to (500, 375): {100 * share(recast, tall):.0f} %')
picture = read(stored(tall, Features({'map': Image()})))
print(f'tall label map in Image(): {100 * share(picture, tall):.0f} %')
noise = share(read(stored(image, THREE)), image.transpose(2, 0, 1))
print(f'channels last in (3, 375, 500): {100 * noise:.0f} %')

assert kept == 1 and np.array_equal(picture, tall)
assert found.shape == wide.shape and lost < 0.3 and noise < 0.1, 'the behaviour has changed'
assert np.array_equal(found.ravel(), tall.ravel()) and np.array_equal(recast, tall), 'the behaviour has changed'
PY
