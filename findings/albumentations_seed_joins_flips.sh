#!/usr/bin/env bash
# albumentations 2.0.8: Compose with a seed gives all transforms the same numbers: both flips are made, or none is.
#
# Compose(transforms, seed=...) hands the seed to each transform, and each makes a generator of its own from it. So all
# of them read the same sequence from its start. A flip reads one number for each image, and so flips stay in step for
# ever: with p=0.5 an image is flipped along both sides or along none, never along one. Of the eight positions that two
# flips and a transposition give, two come. Two rotations, or any two transforms that read equally many numbers, draw
# equal values. Transforms that read unequally many begin alike and then go apart. Each one still comes as often as it
# should, so that counts look right. Without a seed each has numbers of its own.
# Whoever sets a seed to make a training repeatable trains on other images than without. The seed is documented to give
# the same sequence twice, which it does.
# Remedy: no seed for Compose, but one pair of generators for all transforms of the finished pipeline:
# pipeline.set_random_state(numpy.random.default_rng(0), random.Random(0)).
#
# Output seen (shares of 4000 images; all transforms have p=0.5):
#   no seed: none 0.25, one side 0.49, both 0.26; positions with Transpose: 8; correlation of two angles -0.00
#   seed=0:  none 0.51, one side 0.00, both 0.49; positions with Transpose: 2; correlation of two angles 1.00
#   seed=1:  none 0.51, one side 0.00, both 0.49; positions with Transpose: 2; correlation of two angles 1.00
#   shared:  none 0.25, one side 0.50, both 0.24; positions with Transpose: 8; correlation of two angles 0.07
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    albumentations==2.0.8 albucore==0.0.24 numpy==2.2.6 opencv-python-headless==4.13.0.92

NO_ALBUMENTATIONS_UPDATE=1 "$tmp/venv/bin/python" -W ignore - <<'PY'
import random

import albumentations
import numpy as np

RUNS = 4000
image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)


def pipeline(steps, seed, shared):
    """A pipeline with a seed, or one whose steps draw from the same two generators by turns."""
    composed = albumentations.Compose(steps, seed=seed)
    if shared:
        composed.set_random_state(np.random.default_rng(0), random.Random(0))
    return composed


def flip_shares(seed=None, shared=False):
    """Shares of images with no flip, one and two."""
    flips = [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)]
    composed = pipeline(flips, seed, shared)
    counts = np.zeros(3)
    for _ in range(RUNS):
        row, column, _ = np.argwhere(composed(image=image)['image'] == 0)[0]
        counts[int(row > 0) + int(column > 0)] += 1
    return counts / RUNS


def positions(seed=None, shared=False):
    """How many different images two flips and a transposition give."""
    kinds = (albumentations.HorizontalFlip, albumentations.VerticalFlip, albumentations.Transpose)
    composed = pipeline([kind(p=0.5) for kind in kinds], seed, shared)
    return len({composed(image=image)['image'].tobytes() for _ in range(RUNS)})


def correlation(seed=None, shared=False):
    """Correlation of the angles of two rotations."""
    steps = [albumentations.Affine(rotate=(-45, 45), p=1) for _ in range(2)]
    composed = pipeline(steps, seed, shared)
    angles = []
    for _ in range(500):
        composed(image=image)
        angles.append([np.arctan2(step.params['matrix'][1, 0], step.params['matrix'][0, 0]) for step in steps])
    return np.corrcoef(np.transpose(angles))[0, 1]


cases = {'no seed': {}, 'seed=0': {'seed': 0}, 'seed=1': {'seed': 1}, 'shared': {'shared': True}}
for name, case in cases.items():
    (none, one, both), places, angles = flip_shares(**case), positions(**case), correlation(**case)
    print(
        f'{name + ":":8} none {none:.2f}, one side {one:.2f}, both {both:.2f}; positions with Transpose: {places}; '
        f'correlation of two angles {angles:.2f}'
    )
    if name.startswith('seed'):
        assert one == 0 and places == 2 and angles > 0.999, 'the behaviour has changed'
    else:
        assert abs(one - 0.5) < 0.06 and places == 8 and abs(angles) < 0.25
    assert abs(none - both) < 0.1
PY
