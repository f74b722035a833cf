#!/usr/bin/env bash
# onedl-mmengine 0.10.12: with workers, the random augmentation of every epoch is the same.
#
# Runner.build_dataloader gives each worker the seed num_workers * rank + worker_id + seed, whatever the epoch. Workers
# that are started anew for each epoch (persistent_workers=False, the default) draw the same numbers again: the n-th
# sample of a worker is flipped, cropped and coloured in epoch 2 as the n-th was in epoch 1. The order of the samples
# differs, so that nothing shows. PyTorch's own base seed, which differs from epoch to epoch, is replaced.
#
# Output seen:
#   no workers:          the numbers of two epochs differ
#   2 workers:           the numbers of two epochs are the same
#   2 workers that stay: the numbers of two epochs differ
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12
cd "$tmp"

"$tmp/venv/bin/python" -W ignore - <<'PY'
import random

import numpy as np
import torch
from mmengine.registry import DATASETS
from mmengine.runner import Runner


@DATASETS.register_module()
class Draws(torch.utils.data.Dataset):
    """Samples that are what the three generators draw."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return random.random(), np.random.rand(), torch.rand(()).item()


def epochs(**workers):
    loader = Runner.build_dataloader(
        dict(batch_size=1, dataset=dict(type='Draws'), sampler=dict(type='DefaultSampler', shuffle=True), **workers),
        seed=3,
    )
    return [torch.tensor([sample for batch in loader for sample in batch]) for _ in range(2)]


seen = {}
for name, workers in {
    'no workers:         ': dict(num_workers=0),
    '2 workers:          ': dict(num_workers=2),
    '2 workers that stay:': dict(num_workers=2, persistent_workers=True),
}.items():
    first, second = epochs(**workers)
    seen[name.strip(' :')] = torch.equal(first, second)
    print(name, 'the numbers of two epochs', 'are the same' if torch.equal(first, second) else 'differ')
assert seen == {'no workers': False, '2 workers': True, '2 workers that stay': False}, 'the behaviour has changed'
PY
