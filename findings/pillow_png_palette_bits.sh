#!/usr/bin/env bash
# pillow 13.0.0: a label map with a palette of 16 colours or fewer loses its ignored label 255 in a PNG.
#
# Pillow writes a PNG with as many bits for each pixel as the colours of the palette need, whatever the pixels hold:
# 1 bit for 2 colours, 2 for up to 4, 4 for up to 16. Larger numbers keep their low bits. 255, the label of pixels
# without a class, becomes 1, 3 or 15: with 2, 4 or 16 classes the last class, else a number that is no class. There is
# no warning, and the image in memory is right. The documentation says that a PNG has 8 bits where `bits` is left out;
# bits=8 does not help either. TIFF keeps 255.
# Remedy: a palette of 256 colours, the rest black.
#
# Output seen (labels 0, 1 and 255 after a PNG is written and read):
#   2 colours: [0, 1, 1]
#   4 colours: [0, 1, 3]
#   11 colours: [0, 1, 15]
#   16 colours: [0, 1, 15]
#   17 colours: [0, 1, 255]
#   11 of 256 colours: [0, 1, 255]
#   11 colours, bits=8: [0, 1, 15]
#   11 colours, TIFF: [0, 1, 255]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile pillow==13.0.0 numpy==2.4.6

"$tmp/venv/bin/python" - <<'PY'
from io import BytesIO

import numpy as np
from PIL import Image

LABELS = np.uint8([[0, 1, 255]])


def kept(colours, file_format='PNG', padding=0, **options):
    """The labels that a file has which is written with that many colours."""
    image = Image.fromarray(LABELS)
    image.putpalette([8 * (colour + 1) % 256 for colour in range(colours) for _ in range(3)] + [0, 0, 0] * padding)
    assert (np.asarray(image) == LABELS).all()
    file = BytesIO()
    image.save(file, file_format, **options)
    return np.asarray(Image.open(file))[0].tolist()


seen = {f'{colours} colours': kept(colours) for colours in (2, 4, 11, 16, 17)}
seen['11 of 256 colours'] = kept(11, padding=245)
seen['11 colours, bits=8'] = kept(11, bits=8)
seen['11 colours, TIFF'] = kept(11, 'TIFF')
for name, labels in seen.items():
    print(f'{name}: {labels}')
last = {name: labels[2] for name, labels in seen.items() if labels[:2] == [0, 1]}
assert last['17 colours'] == last['11 of 256 colours'] == last['11 colours, TIFF'] == 255
assert [last[f'{colours} colours'] for colours in (2, 4, 11, 16)] == [1, 3, 15, 15], 'the behaviour has changed'
assert last['11 colours, bits=8'] == 15, 'the behaviour has changed'
PY
