"""Runs of many steps."""

import statistics
import sys
import time
from collections.abc import Iterator

from processes import is_running, resources, wait
from trials import Trials


def soak(trials: Trials) -> Iterator[bool]:
    """2,000 steps of a training and of a search: memory and open files stay flat (Linux)."""
    steps = [
        'train_cfg.max_iters=2000',
        'default_hooks.checkpoint.interval=500',
        'default_hooks.logger.interval=50',
    ]
    for command, more in (('train', []), ('search', ['train_cfg.warmup_iters=100'])):
        work_dir = trials.folder / f'soak-{command}'
        process = trials.train(trials.folder / 'iter-2.py', work_dir, '--cfg-options', *steps, *more, command=command)
        used = []
        while is_running(process):
            used.append(resources(process))
            time.sleep(0.2)
        code = wait(process)
        quarter = len(used) // 4
        early, late = used[quarter : 2 * quarter], used[3 * quarter : -5]
        memory, files = (
            statistics.median(one[n] for one in late) / statistics.median(one[n] for one in early) for n in (0, 1)
        )  # a validation or a picture opens files for a moment
        print(f'{command}: memory x {memory:.3f}, open files x {files:.2f}', file=sys.stderr)
        yield code == 0 and memory < 1.02 and files <= 1
