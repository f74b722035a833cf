"""How far a policy moves its frames from the image, beside the score it leads to: ``python -m
benchmarks.accuracy.clip_distance camvid``."""

import argparse
import itertools
import os
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from mmdas.apis import load_config, preprocessor_of
from mmdas.ops.clip import clip_to_frames
from mmdas.search.das import Policy, PolicyClip

from .__main__ import RESULTS, read
from .rows import ROWS
from .tasks import ROOT, TASKS, Task

BATCHES = 20  # enough for two digits


def distance(policy: Policy, batches: Sequence[torch.Tensor]) -> float:
    """Mean over the frames of the distance |frame - image| / |image| of normalised images (B, C, H, W)."""
    found = []
    for images in batches:
        frames = clip_to_frames(PolicyClip(policy)(images), policy.num_frames)
        moved = (frames.unflatten(0, (len(images), policy.num_frames)) - images[:, None]).flatten(2).norm(dim=2)
        found.extend((moved.mean(1) / images.flatten(1).norm(dim=1)).tolist())
    return float(np.mean(found))


def first_batches(task: Task) -> list[torch.Tensor]:
    """Normalised images of the validation set, as the plain model sees them."""
    cfg = load_config(task.path)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        loader = Runner.build_dataloader(cfg.val_dataloader)
        preprocessor = MODELS.build({'type': 'ClsDataPreprocessor', **preprocessor_of(cfg)})  # MMPretrain's default
        return [preprocessor(batch)['inputs'] for batch in itertools.islice(loader, BATCHES)]


def main() -> None:
    """Print a line a record with four frames, GSF and the mean of the predictions, and the correlation."""
    parser = argparse.ArgumentParser(description=__doc__.split(':')[0])
    parser.add_argument('task', choices=sorted(TASKS))
    task = TASKS[parser.parse_args().task]
    os.chdir(ROOT)
    batches = first_batches(task)
    pooled = {row.name for row in ROWS[task.host] if row.pooling == 'mean'}
    pairs = []
    for record in read(RESULTS / f'accuracy-{task.host}.jsonl'):
        if record['frames'] != 4 or record['fusion'] != 'gsf' or record['row'] not in pooled:
            continue
        at = next(point['score'] for point in record['curve'] if point['iterations'] == task.iterations)
        far = distance(Policy.from_dict(record['policy']), batches) if record['policy'] else 0.0
        pairs.append((far, at))
        print(f'{record["row"]:20} seed {record["seed"]}: distance {far:.3f}, score {at:.2f}')
    print(f'correlation {np.corrcoef(np.array(pairs).T)[0, 1]:.2f} over {len(pairs)} runs')


if __name__ == '__main__':
    main()
