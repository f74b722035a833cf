#!/usr/bin/env bash
# empatches 0.2.3 with numpy 2.4.6: of merged tiles 'avg' is no mean, and 'max' of negative scores is 0.
#
# EMPatches cuts a large image into overlapping tiles, and merge_patches puts the predictions together again. 'avg' is
# documented as the mean of the overlapping values, 'max' as the largest of them. Neither holds for scores.
# 1. 'avg' takes the mean of each tile and the result so far. Of four tiles the weights are 1/8, 1/8, 1/4, 1/2, where
#    they should be 1/4 each. Up to nine tiles meet with overlap=0.5, as the last ones are moved back into the image;
#    the first of them has 1/256. Half of the weight is that of the last tile, at its own upper left, where a network
#    sees least around it. Two tiles are right, and so is a test along one side.
# 2. In 'avg' a score of 0 counts as "nothing yet": first 0, then 0.8 gives 0.8, the other way round 0.4. With masks of
#    0 and 1 the order of the tiles decides.
# 3. 'max' begins with zeros. Where all scores of a pixel are negative, as logits are, the result is 0 for each class,
#    and the class is lost. 'min' begins with infinity and is right.
# Tiles of an unchanged image are put together rightly in every mode, so that the usual check shows nothing.
# Remedy: sums and counts of one's own, by the positions that extract_patches returns.
#
# Output seen:
#   tiles of the image itself:   overwrite True, max True, min True, avg True
#   weights of four tiles:       [0.125, 0.125, 0.25, 0.5], mean [0.25, 0.25, 0.25, 0.25]
#   tiles that meet:             1 to 9, weight of the first of nine 0.0039
#   0.0 then 0.8:                0.8
#   0.8 then 0.0:                0.4
#   max of logits -3 and -1:     0.0
#   class of logits [-3 -1]:     1 in each tile, merged by max 0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile numpy==2.4.6 empatches==0.2.3

"$tmp/venv/bin/python" - <<'PY'
import numpy as np
from empatches import EMPatches

tool = EMPatches()


def tiles(height, width, side, overlap=0.5):
    """Positions (top, bottom, left, right) of the tiles of an image."""
    return tool.extract_patches(np.ones((height, width), np.float32), patchsize=side, overlap=overlap)[1]


def merged(values, places, mode):
    """Tiles that are constant, put together."""
    patches = []
    for value, (top, bottom, left, right) in zip(values, places, strict=True):
        patches.append(np.full((bottom - top, right - left), value, np.float32))
    return tool.merge_patches(patches, places, mode=mode)


image = np.random.default_rng(0).random((100, 130)).astype(np.float32)
patches, places = tool.extract_patches(image, patchsize=64, overlap=0.5)
same = {
    mode: bool(np.array_equal(tool.merge_patches(patches, places, mode=mode), image))
    for mode in ('overwrite', 'max', 'min', 'avg')
}
print('tiles of the image itself:  ', ', '.join(f'{mode} {equal}' for mode, equal in same.items()))

# Four tiles meet in the middle: the weight of each is what a 1 in it, and next to nothing in the others, gives there.
four = tiles(96, 96, 64)
weights = [round(float(merged(np.where(np.arange(4) == tile, 1, 1e-9), four, 'avg')[48, 48]), 4) for tile in range(4)]
print(f'weights of four tiles:       {weights}, mean {[0.25] * 4}')

counts = np.zeros(image.shape, int)
for top, bottom, left, right in places:
    counts[top:bottom, left:right] += 1
row, column = np.argwhere(counts == counts.max())[0]
covering = [n for n, (y, bottom, x, right) in enumerate(places) if y <= row < bottom and x <= column < right]
first = merged(np.where(np.arange(len(places)) == covering[0], 1, 1e-9), places, 'avg')[row, column]
print(f'tiles that meet:             {counts.min()} to {counts.max()}, weight of the first of nine {first:.4f}')

two = tiles(64, 96, 64)
found = [round(float(merged(values, two, 'avg')[0, 48]), 4) for values in ((0, 0.8), (0.8, 0))]
print(f'0.0 then 0.8:                {found[0]}')
print(f'0.8 then 0.0:                {found[1]}')

largest = float(merged((-3, -1), two, 'max')[0, 48])
print(f'max of logits -3 and -1:     {largest}')
label = int(np.argmax([merged([score] * 2, two, 'max')[0, 48] for score in (-3, -1)]))
print(f'class of logits [-3 -1]:     1 in each tile, merged by max {label}')

assert all(same.values()) and len(four) == 4 and len(covering) == 9
assert weights == [0.125, 0.125, 0.25, 0.5] and abs(first - 1 / 256) < 1e-6, 'the behaviour has changed'
assert found == [0.8, 0.4] and largest == 0 and label == 0, 'the behaviour has changed'
PY
