#!/usr/bin/env bash
# webdataset 1.0.2, pillow 13.0.0: every word for decode() turns palette and 16-bit label images into other numbers.
#
# decode('pil'), 'pill', 'l8', 'rgb8', 'torchl8' and the others convert each image to the mode in their name, the label
# images too, and there is no word that leaves an image as it is stored ('pil' means RGB). From a palette image, as VOC
# and many annotation tools write it, 'l8' and 'pill' do not take the classes, but the brightness of their colours: two
# classes of equal brightness become one, and all numbers are in the range of bytes, so that nothing fails. Of 16-bit
# labels all above 255 become 255, which most trainings ignore. Plain 8-bit label images keep their numbers (in one
# channel with 'l8' and 'pill'), and a .npy in the shard keeps all.
# Remedy: a decoder of one's own for the extension of the labels, before the word for the images, as below.
#
# Output seen (labels of the stored images, then of the decoded ones):
#   stored: {'palette': [0, 1, 2, 15], '16 bits': [0, 200, 255, 256, 300, 1000, 40000, 65535], '8 bits': [0, 1, 2, 15]}
#   pil: {'palette': [0, 77, 128, 200], '16 bits': [0, 200, 255], '8 bits': [0, 1, 2, 15]}
#   pill: {'palette': [0, 23, 113], '16 bits': [0, 200, 255], '8 bits': [0, 1, 2, 15]}
#   l8: {'palette': [0, 23, 113], '16 bits': [0, 200, 255], '8 bits': [0, 1, 2, 15]}
#   rgb8: {'palette': [0, 77, 128, 200], '16 bits': [0, 200, 255], '8 bits': [0, 1, 2, 15]}
#   own decoder: the same as stored
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    numpy==2.4.6 pillow==13.0.0 webdataset==1.0.2
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import io

import numpy as np
import webdataset
from PIL import Image

CLASSES = {0: (0, 0, 0), 1: (0, 0, 200), 2: (77, 0, 0), 15: (128, 128, 0)}  # 1 and 2 are equally bright


def png(image):
    stream = io.BytesIO()
    image.save(stream, 'PNG')
    return stream.getvalue()


def labels_of(image):
    return np.unique(np.asarray(image)).tolist()


def own(key, data):
    """As it is stored, whatever the mode; None leaves the other extensions to the next decoder."""
    return np.array(Image.open(io.BytesIO(data))) if key.endswith('label.png') else None


byte_labels = np.repeat(np.array(list(CLASSES), np.uint8), 4).reshape(4, 4)
palette = Image.fromarray(byte_labels).copy()
palette.putpalette([level for number in range(256) for level in CLASSES.get(number, (0, 0, 0))])
word_labels = np.array([[0, 200, 255, 256], [300, 1000, 40000, 65535]], np.uint16)
images = {'palette': palette, '16 bits': Image.fromarray(word_labels), '8 bits': Image.fromarray(byte_labels)}

with webdataset.TarWriter('labels.tar') as shard:
    for name, image in images.items():
        shard.write({'__key__': name, 'label.png': png(image), 'label.npy': np.asarray(image)})


def decoded(*how):
    dataset = webdataset.WebDataset('labels.tar', shardshuffle=False).decode(*how)
    return {sample['__key__']: sample for sample in dataset}


stored = {name: labels_of(image) for name, image in images.items()}
print('stored:', stored)
found = {}
for word in ('pil', 'pill', 'l8', 'rgb8'):
    found[word] = {name: labels_of(sample['label.png']) for name, sample in decoded(word).items()}
    print(f'{word}:', found[word])
mended = decoded(own, 'pil')
found['own'] = {name: labels_of(sample['label.png']) for name, sample in mended.items()}
print('own decoder:', 'the same as stored' if found['own'] == stored else found['own'])

for word in ('pil', 'pill', 'l8', 'rgb8'):
    assert found[word]['palette'] != stored['palette'] and found[word]['16 bits'] == [0, 200, 255], word
assert found['l8']['palette'] == [0, 23, 113] and found['l8']['8 bits'] == found['pill']['8 bits'] == stored['8 bits']
assert found['own'] == stored
assert all(labels_of(sample['label.npy']) == stored[name] for name, sample in mended.items())
PY
