#!/usr/bin/env bash
# torchvision 0.29.1 with torch 2.14.1: white pixels of half precision images become black as uint8.
#
# v2.ToDtype(torch.uint8, scale=True), and convert_image_dtype of both versions, multiply by 255.999 and cut off what is
# behind the point. Half precision has no 255.999: the product is 256, and 256 wraps to 0. In float16 that is white
# alone, in bfloat16 all from 0.998 on. A loaded image that goes to bfloat16 and back turns black where it was white,
# and many grey levels come back one higher. Clipping the image to [0, 1] first, as one does with generated or
# augmented images, is what makes the values that wrap. Nothing is said.
# Remedy: image.float() first.
#
# Output seen:
#   float32:  1.0 becomes 255, 0.9 becomes 230; of the levels 0 to 255 there and back 0 differ, 255 becomes 255
#   float16:  1.0 becomes 0, 0.9 becomes 230; of the levels 0 to 255 there and back 16 differ, 255 becomes 0
#   bfloat16: 1.0 becomes 0, 0.9 becomes 230; of the levels 0 to 255 there and back 128 differ, 255 becomes 0
#   share of black of a white image, with ToDtype, convert_image_dtype, and of the image as float: 1.0 1.0 0.0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 numpy==2.4.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from torchvision.transforms import functional, v2

to_bytes = v2.ToDtype(torch.uint8, scale=True)
levels = torch.arange(256, dtype=torch.uint8)[None, None]
found = {}
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    white, grey = to_bytes(torch.tensor([[[1.0, 0.9]]], dtype=dtype)).flatten().tolist()
    back = to_bytes(v2.ToDtype(dtype, scale=True)(levels))
    found[dtype] = white, grey, int((back != levels).sum()), int(back.flatten()[-1])
    print(
        f'{str(dtype)[6:] + ":":9} 1.0 becomes {white}, 0.9 becomes {grey}; of the levels 0 to 255 there and back '
        f'{found[dtype][2]} differ, 255 becomes {found[dtype][3]}'
    )
image = torch.rand(3, 64, 64).add(1).clamp(0, 1).half()
black = [
    (seen == 0).float().mean().item()
    for seen in (to_bytes(image), functional.convert_image_dtype(image, torch.uint8), to_bytes(image.float()))
]
print('share of black of a white image, with ToDtype, convert_image_dtype, and of the image as float:', *black)
assert found[torch.float32] == (255, 230, 0, 255)
for dtype in (torch.float16, torch.bfloat16):
    assert found[dtype][::3] == (0, 0) and found[dtype][2] > 1, 'the behaviour has changed'
assert black == [1.0, 1.0, 0.0], 'the behaviour has changed'
PY
