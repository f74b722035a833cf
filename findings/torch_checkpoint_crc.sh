#!/usr/bin/env bash
# torch 2.14.1: torch.load does not compare the check sums that torch.save writes: a changed weight loads in silence.
#
# A checkpoint is a zip archive; torch.save writes the CRC-32 of every record (torch.serialization.get_crc32_options()
# is True), and the zip format has it to be compared while one reads. torch.load compares none, by default, weights-only
# or by mmap. One bit of a weight that a disk or a copy has changed goes unnoticed. Python's zipfile finds the record.
#
# Output seen:
#   check sums are written: True
#   loaded, 3 ways: [1.0, 1.0, 2.0]
#   zipfile.testzip: damaged/data/0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile torch==2.14.1 numpy==2.4.6
cd "$tmp"

"$tmp/venv/bin/python" -W ignore - <<'PY'
import struct
import zipfile

import torch

print('check sums are written:', torch.serialization.get_crc32_options())
torch.save({'weight': torch.ones(3)}, 'damaged.pth')
content = open('damaged.pth', 'rb').read()
ones = struct.pack('<3f', 1, 1, 1)
assert content.count(ones) == 1
open('damaged.pth', 'wb').write(content.replace(ones, struct.pack('<3f', 1, 1, 2)))
ways = [{}, {'weights_only': True}, {'mmap': True}]
loaded = [torch.load('damaged.pth', **way)['weight'].tolist() for way in ways]
found = zipfile.ZipFile('damaged.pth').testzip()
print('loaded, 3 ways:', *map(list, {tuple(values) for values in loaded}))
print('zipfile.testzip:', found)
assert torch.serialization.get_crc32_options()
assert loaded == [[1.0, 1.0, 2.0]] * 3 and found == 'damaged/data/0', 'the behaviour has changed'
PY
