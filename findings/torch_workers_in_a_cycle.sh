#!/usr/bin/env bash
# torch 2.14.1: workers of a data loader in a reference cycle cost five seconds each when it is collected.
#
# The iterator of a DataLoader ends its workers in __del__, by a word in their queues. Dropped by its last reference it
# takes a moment. In a reference cycle, though, the garbage collector runs the queues' own finalizers (of Python's
# multiprocessing) before any __del__: the queues are closed, the word never arrives, and __del__ waits for its whole
# timeout of five seconds for one worker after the other. Every runner or trainer that refers to its loaders and is
# referred to by its loops or hooks is such a cycle, with persistent_workers=True even after a training that ended well:
# the wait comes at some later moment, in the middle of the next training of the process (each trial of a sweep, each
# fold, each cell of a notebook). With 4 workers that train and 4 that validate it is 40 seconds.
# Remedy: drop the iterator while the loader still lives (loader._iterator = None), and any of one's own.
#
# Output seen:
#   last reference dropped, 2 workers: 0.5 s
#   in a cycle, 1, 2 and 3 workers: 5.6, 10.7 and 15.6 s
#   in a cycle, 2 workers that stay after a whole pass: 10.7 s; the loader's iterator dropped first: 0.4 s
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile torch==2.14.1 numpy==2.4.6

"$tmp/venv/bin/python" -W ignore - <<'PY'
import gc
import time

import torch
from torch.utils.data import DataLoader


class Trainer:
    """What holds a loader, and is held by its own loop."""

    def __init__(self, workers, cycle, whole_pass=False):
        self.loader = DataLoader(range(8), num_workers=workers, persistent_workers=True)
        if whole_pass:
            list(self.loader)
        else:
            next(iter(self.loader))
        if cycle:
            self.loop = {'trainer': self}


def seconds_to_drop(workers, cycle, whole_pass=False, iterator_first=False):
    trainer = Trainer(workers, cycle, whole_pass)
    start = time.perf_counter()
    if iterator_first:
        trainer.loader._iterator = None
    del trainer
    gc.collect()
    return time.perf_counter() - start


gc.disable()
plain = seconds_to_drop(2, cycle=False)
waits = [seconds_to_drop(workers, cycle=True) for workers in (1, 2, 3)]
whole = seconds_to_drop(2, cycle=True, whole_pass=True)
first = seconds_to_drop(2, cycle=True, whole_pass=True, iterator_first=True)
print(f'last reference dropped, 2 workers: {plain:.1f} s')
print('in a cycle, 1, 2 and 3 workers: {:.1f}, {:.1f} and {:.1f} s'.format(*waits))
print(f"in a cycle, 2 workers that stay after a whole pass: {whole:.1f} s; the loader's iterator dropped first: {first:.1f} s")
assert plain < 4 and first < 4
assert all(5 * workers <= wait for workers, wait in enumerate(waits, start=1)) and whole >= 10, 'the behaviour has changed'
PY
