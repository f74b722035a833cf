"""Steps that are commands of mmdas: each in a process of its own, noted when it is done, and never run twice."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .parser import FAILED, STOPPED, TEMPORARY, CommandError
from .step_log import Report, tail

NOTES = 'improve.json'
POLL = 0.5  # seconds between two looks at a log


class Stopped(Exception):
    """A signal of the system or of a scheduler."""


class Runs:
    """The steps in a folder, in which ``improve.json`` notes what each was, what it took and what it brought.

    Args:
        folder: that the steps write to.
        report: where progress is told.

    Raises:
        CommandError: in a step, if it fails or is stopped, or the folder has the same step with another command.
    """

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder, self.report = folder, report
        path = folder / NOTES
        self.notes: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        self._told: set[str] = set()

    def run(self, name: str, title: str, command: Sequence[str], resumes: bool = False) -> None:
        """Run a step, or go on with it, unless it is done.

        Args:
            name: of the step and its log.
            title: for the user.
            command: what stands after ``mmdas``.
            resumes: whether ``--resume`` goes on with what was begun.
        """
        note = self.notes.setdefault(name, {'command': list(command), 'seconds': 0.0, 'done': False})
        if note['command'] != list(command):
            raise CommandError(
                f'{self.folder} has the step "{name}" of another command: mmdas {shlex.join(note["command"])}; this '
                f'one would be: mmdas {shlex.join(command)}; give another folder by --out, or the options of then'
            )
        if note['done']:
            if name not in self._told:
                self.report.skip(title)
            self._told.add(name)
            return
        begun = resumes and self._has_checkpoint(name)
        self.report.start(title)
        start = time.monotonic()
        try:
            code = self._process([*command, *(['--resume'] if begun else [])], self.folder / f'{name}.log')
        finally:
            note['seconds'] = round(note['seconds'] + time.monotonic() - start, 1)
            self.save()
        if code:
            self.report.progress.stop()
            log = self.folder / f'{name}.log'
            raise CommandError(f'the step "{title}" failed; its log, {log}, ends with:\n{tail(log)}', FAILED)
        note['done'] = True
        self._told.add(name)
        self.save()
        self.report.finish(note['seconds'])

    def save(self) -> None:
        """Write the notes."""
        from mmdas.engine.checkpoints import write_atomically

        write_atomically(self.folder / NOTES, (json.dumps(self.notes, indent=2) + '\n').encode())

    def checkpoint(self, name: str) -> str:
        """The newest checkpoint of a step.

        Raises:
            CommandError: if there is none.
        """
        from mmdas.engine.checkpoints import newest_checkpoint

        found = newest_checkpoint(str(self.folder / name))
        if found is None:
            raise CommandError(f'the step "{name}" left no checkpoint in {self.folder / name}; see {name}.log there')
        return str(found[0])

    def config(self, name: str) -> str:
        """The config that the training of a step has written down, with all that it inherits."""
        paths = (self.folder / name).glob('*.py')
        (path,) = [path for path in paths if not re.fullmatch(r'teacher\d*\.py', path.name)]
        return str(path)

    def metrics(self, name: str) -> dict[str, float]:
        """What the test of a step measured."""
        path = max((self.folder / name).glob('*/*.json'), key=lambda found: found.name)
        content: dict[str, float] = json.loads(path.read_text())
        return content

    def _has_checkpoint(self, name: str) -> bool:
        from mmdas.engine.checkpoints import CheckpointError, newest_checkpoint

        try:
            return (self.folder / name).is_dir() and newest_checkpoint(str(self.folder / name)) is not None
        except CheckpointError:
            return True  # the run says what is wrong with them

    def _process(self, command: Sequence[str], log: Path) -> int:
        """Exit code of a command whose output goes to a log; a stop reaches it, and it is waited for."""
        with log.open('wb') as file, heeding_signals():
            process = subprocess.Popen(
                [sys.executable, '-m', 'mmdas', *command], stdout=file, stderr=subprocess.STDOUT, env=environment()
            )
            try:
                with log.open(encoding='utf-8', errors='replace') as lines:
                    running = True
                    while running:
                        running = process.poll() is None
                        for line in lines:
                            self.report.update(line)
                        time.sleep(POLL if running else 0)
            except (KeyboardInterrupt, Stopped) as stop:
                self.report.progress.stop()
                process.send_signal(signal.SIGTERM)  # a training writes a checkpoint
                process.wait()
                code = STOPPED if isinstance(stop, KeyboardInterrupt) else TEMPORARY
                raise CommandError('stopped; the same command goes on from here', code) from stop
            return process.returncode


def environment() -> dict[str, str]:
    """Environment of the steps: this one, in which Python finds the same mmdas."""
    paths = [str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths))}


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Turn the signals of schedulers into :class:`Stopped`."""

    def stop(*_: Any) -> None:
        raise Stopped

    kinds = [signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, 'SIGUSR1') else [])]
    before = {kind: signal.signal(kind, stop) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
