"""A process of a distributed run that is lost."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from processes import is_running, read, start, stop
from trials import Trials


@HOOKS.register_module()
class Lost(Hook):
    """Lets the second process sleep for ever, or kills it, in an iteration."""

    def __init__(self, by: str) -> None:
        self.by = by

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Write when, and do it."""
        if os.environ['RANK'] == '1' and runner.iter == 3:
            Path(f'{runner.work_dir}.time').write_text(str(time.time()))
            if self.by == 'kill':
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10**6)


def lost(trials: Trials) -> Iterator[bool]:
    """One of two processes sleeps for ever in an iteration, or is killed: the other ends in time, with a word."""
    for number, (by, told) in enumerate((('sleep', 'did not answer for 15 s'), ('kill', 'process has ended'))):
        config, work_dir = trials.folder / f'lost-{number}.py', trials.folder / f'lost-{number}'
        config.write_text(
            f"_base_ = {str(trials.folder / 'iter-0.py')!r}\ncustom_hooks = [dict(type='Lost', by={by!r})]\n"
            'env_cfg = dict(dist_cfg=dict(timeout=15))\n'
        )
        os.environ.update(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(29650 + number))
        processes = []
        for rank in range(2):
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            arguments = [str(config), '--work-dir', str(work_dir), '--launcher', 'pytorch']
            processes.append(start(arguments, trials.folder / f'lost-{number}-{rank}.log', 'train'))
        begin = time.monotonic()
        while is_running(processes[0]) and time.monotonic() - begin < 120:
            time.sleep(0.1)
        seconds = time.time() - float(read(Path(f'{work_dir}.time')) or 'inf')
        ended = not is_running(processes[0])
        codes = [stop(process, signal.SIGKILL) for process in processes]
        for name in ('WORLD_SIZE', 'RANK', 'LOCAL_RANK'):
            del os.environ[name]
        text = read(trials.folder / f'lost-{number}-0.log')
        yield ended and codes[0] not in (0, None) and seconds < 30 and told in text and 'Traceback' not in text
