#!/usr/bin/env bash
# datasets 5.2.0, litdata 0.2.76: an image that was edited in place is stored as its file was before the edit.
#
# Pillow keeps the name of the file that an image was opened from. Both libraries take that name and store the file, not
# the pixels in memory: datasets for images of any format, litdata for those that Pillow opened as JPEG. Methods that
# give a new image, as resize() and convert(), give one without a file name, and all is well. But thumbnail(), paste(),
# putpixel() and ImageDraw change the image itself, and the name stays. So a set that was made smaller keeps its size,
# and faces or number plates that were painted over, or burned-in text, are in the published shards. Nothing is said.
# (mosaicml-streaming 0.13.0 does the same with its encoding 'jpeg'.)
# Remedy: image.copy() before the edit, since a copy has no file name; then look at what the shards hold.
#
# Output seen (a bright image of 64 x 64 pixels; thumbnail is to make 16 x 16 of it, paint and paste to make it black):
#   datasets: thumbnail (64, 64), paint 200, paste 200
#   datasets, after copy(): thumbnail (16, 16), paint 0, paste 0
#   litdata: thumbnail (64, 64), paint 200, paste 200
#   litdata, after copy(): thumbnail (16, 16), paint 0, paste 0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0 datasets==5.2.0 litdata==0.2.76
cd "$tmp"
export HF_HUB_OFFLINE=1 HF_HOME="$tmp/home"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import datasets
import numpy as np
from litdata.streaming import Cache
from PIL import Image, ImageDraw

datasets.disable_progress_bars()
Image.new('RGB', (64, 64), (200, 200, 200)).save('bright.jpg')


def thumbnail(image):
    image.thumbnail((16, 16))
    return image


def paint(image):
    ImageDraw.Draw(image).rectangle((0, 0, 63, 63), fill=0)
    return image


def paste(image):
    image.paste(0, (0, 0, 64, 64))
    return image


def by_datasets(edit, prepare):
    dataset = datasets.Dataset.from_dict({'image': ['bright.jpg']}).cast_column('image', datasets.Image())
    edited = dataset.map(lambda sample: {'image': edit(prepare(sample['image']))}, load_from_cache_file=False)
    return np.asarray(edited[0]['image'])


def by_litdata(edit, prepare):
    cache = Cache(f'{edit.__name__}_{prepare.__name__}', chunk_size=1)
    cache[0] = {'image': edit(prepare(Image.open('bright.jpg')))}
    cache.done()
    cache.merge()
    image = np.asarray(cache[0]['image'])
    return image if image.shape[-1] == 3 else image.transpose(1, 2, 0)  # a tensor where it was stored as JPEG


def opened(image):
    return image


for library in (by_datasets, by_litdata):
    for prepare, expected in ((opened, ((64, 64), 200, 200)), (Image.Image.copy, ((16, 16), 0, 0))):
        stored = [library(edit, prepare) for edit in (thumbnail, paint, paste)]
        found = (stored[0].shape[:2], *(round(float(image.mean())) for image in stored[1:]))
        title = library.__name__[3:] + (', after copy()' if prepare is not opened else '')
        print(f'{title}: thumbnail {found[0]}, paint {found[1]}, paste {found[2]}')
        assert found == expected, 'the behaviour has changed'
PY
