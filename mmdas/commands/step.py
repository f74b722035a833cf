"""A command of mmdas as one of several steps, and what runs of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from .step_jobs import JobProcess

if TYPE_CHECKING:
    import subprocess

    from .step_log import Report
    from .step_process import ServedProcess


@dataclass(frozen=True)
class Step:
    """A command.

    Args:
        name: of the step, its folder and its log.
        title: for the user.
        command: what stands after ``mmdas``.
        resumes: whether ``--resume`` goes on with what was begun.
        may_fail: whether the other steps go on if it fails, which is then noted; it is not tried again.
    """

    name: str
    title: str
    command: Sequence[str]
    resumes: bool = False
    may_fail: bool = False


@dataclass
class Running:
    """A step whose process runs, or whose job waits in the queue."""

    step: Step
    process: subprocess.Popen[bytes] | ServedProcess | JobProcess
    lines: IO[str]
    report: Report
    start: float
    before: float = 0.0  # seconds of it that earlier commands and jobs have spent

    @property
    def waits(self) -> bool:
        """Whether it is a job that waits in the queue."""
        return isinstance(self.process, JobProcess) and self.process.waits

    @property
    def seconds(self) -> float:
        """Seconds that the step has taken, without those in the queue."""
        own = self.process.seconds if isinstance(self.process, JobProcess) else time.monotonic() - self.start
        return self.before + own
