"""What a job of a cluster runs: a command of mmdas, in the process of the job."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .parser import FAILED
from .step_process import has_checkpoint, print_to


class StepJob:
    """What a job calls: a command of mmdas, with all that it prints in a log.

    A run goes on from its newest checkpoint, whether this program or Slurm started the job again. Slurm says by
    SIGUSR2 that the time of a job ends; to a training that is what SIGTERM is: it saves a checkpoint.

    Args:
        command: what stands after ``mmdas``.
        log: to append to.
        run: folder of a run that ``--resume`` goes on with. Default: the command is none.
    """

    def __init__(self, command: Sequence[str], log: Path, run: Path | None = None) -> None:
        self.command, self.log, self.run = list(command), log, run

    def __call__(self) -> tuple[int, float]:
        """Run the command; its exit code, and the seconds that it took."""
        start = time.monotonic()
        with printed_to(self.log):
            number = os.environ.get('SLURM_JOB_ID')
            print(f'job {number} on {socket.gethostname()}' if number else f'job on {socket.gethostname()}')
            forward_time_limit()
            resume = ['--resume'] if has_checkpoint(self.run) else []
            code = run_to_end([*self.command, *resume])
        return code, time.monotonic() - start


@contextmanager
def printed_to(log: Path) -> Iterator[None]:
    """Let this process print to the end of a file for a while."""
    kept = {number: os.dup(number) for number in (1, 2)}
    print_to(log, append=True)
    try:
        yield
    finally:
        for number, copy in kept.items():
            (sys.stdout if number == 1 else sys.stderr).flush()
            os.dup2(copy, number)
            os.close(copy)


def forward_time_limit() -> None:
    """Let this process, not its children, take SIGUSR2 for SIGTERM."""
    process = os.getpid()

    def forward(*_: Any) -> None:
        if os.getpid() == process:
            os.kill(process, signal.SIGTERM)

    signal.signal(signal.SIGUSR2, forward)


def run_to_end(command: Sequence[str]) -> int:
    """The exit code of a command of mmdas that runs in this process."""
    sys.argv = ['mmdas', *command]
    from mmdas.commands import main

    try:
        return main(command)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return FAILED
