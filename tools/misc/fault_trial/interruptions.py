"""Runs that are killed or told to stop."""

import signal
import time
from collections.abc import Iterator
from itertools import cycle, islice

from processes import is_running, read, stop
from trials import ITERATIONS, Trials

from mmdas.engine.checkpoints import newest_checkpoint


def kill(trials: Trials) -> Iterator[bool]:
    """SIGKILL at a random moment of a training with dropout and random augmentation, then --resume."""
    for number, config in enumerate(islice(cycle(trials.configs()), trials.count)):
        work_dir = trials.folder / f'kill-{number}'
        seconds = trials.uninterrupted(config)['seconds']
        process = trials.train(config, work_dir)
        time.sleep(seconds * trials.random.uniform(0.2, 0.95))
        stop(process, signal.SIGKILL)
        yield trials.goes_on_exactly(config, work_dir)


def kill_while_writing(trials: Trials) -> Iterator[bool]:
    """SIGKILL while a checkpoint is written, one being kept, then --resume."""
    config = trials.configs()[-1]
    trials.uninterrupted(config)
    for number in range(trials.count):
        work_dir = trials.folder / f'write-{number}'
        process = trials.train(config, work_dir)
        while not list(work_dir.glob('iter_*.pth')) and is_running(process):
            time.sleep(0.001)  # before the first one is whole there is nothing to keep
        for _ in range(trials.random.randint(1, ITERATIONS - 3)):
            while not list(work_dir.glob('.*.part')) and is_running(process):
                pass
            while list(work_dir.glob('.*.part')) and is_running(process) and trials.random.random() < 0.5:
                time.sleep(0.001)
        stop(process, signal.SIGKILL)
        yield newest_checkpoint(work_dir) is not None and trials.goes_on_exactly(config, work_dir)


def signals(trials: Trials) -> Iterator[bool]:
    """SIGTERM, SIGUSR1 and Ctrl-C: a checkpoint, the exit code, and an exact resume."""
    cases = [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130), (signal.SIGTERM, 75)]
    for number, ((which, expected), config) in enumerate(zip(cases, trials.configs(), strict=True)):
        work_dir = trials.folder / f'signal-{number}'
        trials.uninterrupted(config)
        process = trials.train(config, work_dir, '--cfg-options', 'default_hooks.checkpoint.interval=1000')
        while 'lr:' not in read(work_dir.with_suffix('.log')) and is_running(process):
            time.sleep(0.05)
        asked = time.monotonic()
        code = stop(process, which)
        saved = newest_checkpoint(work_dir) is not None
        yield code == expected and saved and time.monotonic() - asked < 5 and trials.goes_on_exactly(config, work_dir)
