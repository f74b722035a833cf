"""How far a step of several is: read from the log that its process writes, shown as a bar or in some lines."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

# in the log lines of MMEngine: of a loop over epochs also the epoch
LINE = re.compile(r'\((?:train|test)\) *(?:\[ *(\d+)\])? *\[ *(\d+)/(\d+)\].*?eta: *((?:\d+ days?, )?\S+)')
TAIL = 20  # lines of the log shown after a failure
PAUSE = 60.0  # seconds between two lines about the epochs of a step


@dataclass(frozen=True)
class Place:
    """What a line of a log says.

    Args:
        done, total: iterations of the training or test, or of the epoch.
        left: time left.
        epoch: number of the epoch; None for a loop over iterations.
    """

    done: int
    total: int
    left: str
    epoch: int | None = None

    @property
    def passes_epochs(self) -> bool:
        """Whether a loop over iterations runs, whose log has the length of an epoch, as MMEngine's has by default."""
        return self.done > self.total

    def __str__(self) -> str:
        if self.passes_epochs:
            return f'{self.done} iterations, {self.left} left'
        epoch = '' if self.epoch is None else f'epoch {self.epoch}, '
        return f'{epoch}{self.done}/{self.total}, {self.left} left'


def read_progress(line: str) -> Place | None:
    """The place of a training or test that a line of its log tells, None for other lines."""
    match = LINE.search(line)
    if match is None:
        return None
    epoch, done, total, left = match.groups()
    return Place(int(done), int(total), left, int(epoch) if epoch else None)


def tail(log: Path) -> str:
    """The end of a log."""
    return '\n'.join(log.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL:])


class Report:
    """Tells how far the steps are: a bar for each on a terminal, some lines elsewhere.

    Args:
        console: that is written to.
        progress: the bars. Default: new ones.
    """

    def __init__(self, console: Console, progress: Progress | None = None) -> None:
        self.console = console
        self.progress = progress or Progress(
            TextColumn('{task.description:<22}'),
            BarColumn(),
            TextColumn('{task.fields[state]:<24}'),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task, self.title = TaskID(-1), ''
        self.quarter, self.told = 0, 0.0

    def start(self, title: str) -> Report:
        """A step begins; the report of this step, beside which others may run."""
        report = Report(self.console, self.progress)
        report.title, report.told = title, time.monotonic()
        report.task = self.progress.add_task(title, total=None, state='')
        if not self.console.is_terminal:
            self.console.print(f'{title} ...', highlight=False)
        return report

    def submitted(self, number: str) -> None:
        """The step is a job of a cluster."""
        self.progress.update(self.task, state=f'job {number}')
        if not self.console.is_terminal:
            self.console.print(f'    job {number}', highlight=False)

    def update(self, line: str) -> None:
        """The command of the step wrote a line."""
        place = read_progress(line)
        if place is None:
            return
        total = None if place.passes_epochs else place.total
        self.progress.update(self.task, completed=place.done, total=total, state=str(place))
        if not self.console.is_terminal and self._is_due(place):
            self.console.print(f'    {place}')

    def _is_due(self, place: Place) -> bool:
        if place.epoch is None:
            quarter, self.quarter = self.quarter, max(self.quarter, 4 * place.done // place.total)
            return self.quarter > quarter
        due = time.monotonic() - self.told >= PAUSE
        self.told = time.monotonic() if due else self.told
        return due

    def finish(self, seconds: float) -> None:
        """The step is done."""
        self.progress.update(self.task, completed=1, total=1, state='done')
        self.progress.stop_task(self.task)
        if not self.console.is_terminal:
            self.console.print(f'    done in {seconds:.0f} s')

    def fail(self, reason: str, log: Path) -> None:
        """The step failed, and the others go on."""
        self.progress.update(self.task, state='failed')
        self.progress.stop_task(self.task)
        self.console.print(f'{self.title} failed: {reason} (see {log})', highlight=False, soft_wrap=True, markup=False)

    def skip(self, title: str, why: str = 'done before') -> None:
        """A step was done, or failed, before."""
        self.console.print(f'{title}: {why}', highlight=False)


__all__ = ['Place', 'Report', 'read_progress', 'tail']
