#!/usr/bin/env bash
# albumentations 2.0.8 with torch 2.14.1: all workers of a data loader, in all epochs, draw the same augmentations.
#
# A Compose has random generators of its own, made with it, and takes no notice of the seeds of Python, NumPy and torch.
# Its documentation says so. Workers of a data loader are copies of one process, so they begin with the same generators.
# The n-th sample of each worker is augmented as the n-th of every other one. Workers that are started anew for each
# epoch (persistent_workers=False, the default) begin there again: an epoch of 1000 samples by 8 workers has 125
# augmentations in all, and the next epochs have the same 125. A worker_init_fn that seeds NumPy and Python, the usual
# remedy, changes nothing. With num_workers=0 all is well, so that a look at the pipeline shows no fault.
# `seed=None` and a number are alike in this. persistent_workers=True alone makes the epochs differ, not the workers.
# Albu of onedl-mmsegmentation 1.4.2 builds such a Compose. 2.0.8 is the last release of that package.
# Remedy: a worker_init_fn that gives each transform of the worker's pipeline a seed made of torch.initial_seed().
#
# Output seen (angles in degrees, the same image 6 times, 2 epochs):
#   no workers: [-37, -59, 129, -35, -109, -103] [51, -64, 46, -33, -101, -95]
#   workers: [-76, -76, -76, -100, -100, -100] [-76, -76, -76, -100, -100, -100]
#   workers, NumPy seeded: [109, 109, 109, 46, 46, 46] [109, 109, 109, 46, 46, 46]
#   workers, persistent: [91, 91, 91, 113, 113, 113] [-168, -168, -168, -82, -82, -82]
#   workers, pipeline seeded: [135, 61, -67, 13, -91, -137] [-66, -179, 158, -173, -161, 126]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.2.6 albumentations==2.0.8 albucore==0.0.24 opencv-python-headless==4.13.0.92

cat > "$tmp/angles.py" <<'PY'
import random

import albumentations
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

SAMPLES, WORKERS = 6, 3


class Images(Dataset):
    """The angles by which a pipeline turns the same image again and again."""

    def __init__(self, seed=None):
        self.turn = albumentations.Affine(rotate=(-180, 180), p=1)
        self.pipeline = albumentations.Compose([self.turn], seed=seed)

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        self.pipeline(image=np.zeros((8, 8, 3), np.uint8))
        matrix = self.turn.params['matrix']
        return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def seed_the_usual_way(worker):
    np.random.seed(torch.initial_seed() % 2**32)
    random.seed(torch.initial_seed())


def seed_the_pipeline(worker):
    for number, step in enumerate(get_worker_info().dataset.pipeline.transforms):
        step.set_random_seed((torch.initial_seed() + number) % 2**32)


cases = {
    'no workers': {'num_workers': 0},
    'workers': {},
    'workers, NumPy seeded': {'worker_init_fn': seed_the_usual_way},
    'workers, persistent': {'persistent_workers': True},
    'workers, pipeline seeded': {'worker_init_fn': seed_the_pipeline},
}
found = {}
for name, settings in cases.items():
    loader = DataLoader(Images(), batch_size=1, **{'num_workers': WORKERS, **settings})
    found[name] = [[angle.item() for angle in loader] for _ in range(2)]
    print(f'{name}:', *([round(angle) for angle in angles] for angles in found[name]))

for name, (first, second) in found.items():
    different = len(set(first)), len(set(first + second))
    if name in ('workers', 'workers, NumPy seeded'):
        assert different == (SAMPLES // WORKERS, SAMPLES // WORKERS) and first == second, 'the behaviour has changed'
    elif name == 'workers, persistent':
        assert different == (SAMPLES // WORKERS, 2 * SAMPLES // WORKERS), 'the behaviour has changed'
    else:
        assert different[0] > SAMPLES // 2 and different[1] > SAMPLES and first != second
PY
"$tmp/venv/bin/python" -W ignore "$tmp/angles.py"
