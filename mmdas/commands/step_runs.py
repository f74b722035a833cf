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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .parser import FAILED, STOPPED, TEMPORARY, CommandError
from .step import Running, Step
from .step_jobs import JobProcess, JobQueue
from .step_log import Report, tail
from .step_process import ServedProcess, environment, has_checkpoint

POLL = 0.5  # seconds between two looks at a log
BEAT = 10.0  # seconds after which the time of running steps is noted, for the case that this process is killed


class Stopped(Exception):
    """A signal of the system or of a scheduler."""


class StepRuns:
    """The steps in a folder, with a file that notes what each was, what it took and what it brought.

    Args:
        folder: that the steps write to.
        report: where progress is told.
        filename: of the notes.
        processes: how many steps may run at a time. Default: 1.
        toolbox: scope of the configs, for steps that begin with its imports done, which saves their start. Default:
            each step is a new process.
        jobs: where steps are submitted, in place of processes. Default: nowhere.

    Raises:
        CommandError: in a step, if it fails and must not, or is stopped, or the folder has the same step with another
            command.
    """

    def __init__(
        self,
        folder: Path,
        report: Report,
        filename: str,
        processes: int = 1,
        toolbox: str = '',
        jobs: JobQueue | None = None,
    ) -> None:
        self.folder, self.report, self.processes, self.toolbox, self.jobs = folder, report, processes, toolbox, jobs
        self.path = folder / filename
        self.notes: dict[str, Any] = json.loads(self.path.read_text()) if self.path.is_file() else {}
        self._told: set[str] = set()
        self._spent, self._start = float(self.notes.get('spent', 0.0)), time.monotonic()
        self._waited = 0.0

    @property
    def spent(self) -> float:
        """Seconds of wall time that the commands on this folder have taken, this one and earlier ones.

        Without those in which all jobs waited in the queue.
        """
        return self._spent + time.monotonic() - self._start - self._waited

    def run(self, name: str, title: str, command: Sequence[str], resumes: bool = False) -> None:
        """Run a step, or go on with it, unless it is done; the arguments are those of :class:`Step`."""
        self.run_all([Step(name, title, command, resumes)])

    def run_all(self, steps: Sequence[Step], may_start: Callable[[], bool] = lambda: True) -> None:
        """Run steps that do not wait for each other, as many at a time as there may be.

        Args:
            steps: those that are done are left out.
            may_start: asked before each step; once it says no, no other one starts.
        """
        waiting = [step for step in steps if self._is_open(step)]
        running: list[Running] = []
        with heeding_signals(), ExitStack() as files:
            try:
                while running or waiting:
                    turn = time.monotonic()
                    while waiting and len(running) < self.processes:
                        if not may_start():
                            waiting.clear()
                            break
                        running.append(self._begin(waiting.pop(0), files))
                    running = [one for one in running if not self._ended(one)]
                    self._beat(running)
                    time.sleep(POLL if running else 0)
                    if running and all(one.waits for one in running):
                        self._waited += time.monotonic() - turn
            except (KeyboardInterrupt, Stopped) as stop:
                code = STOPPED if isinstance(stop, KeyboardInterrupt) else TEMPORARY
                raise CommandError('stopped; the same command goes on from here', code) from stop
            finally:
                self._end(running)

    def save(self) -> None:
        """Write the notes."""
        from mmdas.engine.checkpoints import write_atomically

        self.notes['spent'] = round(self.spent, 1)
        write_atomically(self.path, (json.dumps(self.notes, indent=2) + '\n').encode())

    def is_done(self, name: str) -> bool:
        """Whether a step is done."""
        return bool(self.notes.get(name, {}).get('done'))

    def failure(self, name: str) -> str | None:
        """What a step that was allowed to fail said at its end; None if it did not fail."""
        found: str | None = self.notes.get(name, {}).get('failed')
        return found

    def forget_failures(self) -> bool:
        """Let steps that failed be tried again; whether there were any."""
        failed = [note for note in self.notes.values() if isinstance(note, dict) and not note.get('done', True)]
        return [note.pop('failed', None) for note in failed].count(None) < len(failed)

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

    def _is_open(self, step: Step) -> bool:
        """Whether a step is still to be run; that it is the step of then is checked."""
        command = list(step.command)
        note = self.notes.setdefault(step.name, {'command': command, 'seconds': 0.0, 'done': False})
        if note['command'] != command:
            raise CommandError(
                f'{self.folder} has the step "{step.name}" of another command: mmdas {shlex.join(note["command"])}; '
                f'this one would be: mmdas {shlex.join(command)}; give another folder by --out, or the options of then'
            )
        failed = step.may_fail and 'failed' in note
        if (note['done'] or failed) and step.name not in self._told:
            self.report.skip(step.title, 'failed before' if failed else 'done before')
            self._told.add(step.name)
        return not (note['done'] or failed)

    def _begin(self, step: Step, files: ExitStack) -> Running:
        log = self.folder / f'{step.name}.log'
        log.touch()
        report = self.report.start(step.title)
        start = time.monotonic()
        process = self._start_process(step, log)
        if isinstance(process, JobProcess):
            report.submitted(process.number)
        lines = files.enter_context(log.open(encoding='utf-8', errors='replace'))
        before = self.notes[step.name].get('job', {}).get('before', self.notes[step.name]['seconds'])
        return Running(step, process, lines, report, start, before)

    def _ended(self, one: Running) -> bool:
        """Tell what the log says; whether the step has ended, which is then noted."""
        code = one.process.poll()
        for line in one.lines:
            one.report.update(line)
        if code is None:
            return False
        self._take_time(one)
        self.notes[one.step.name].pop('job', None)
        if isinstance(one.process, JobProcess) and one.process.outcome and one.process.outcome.again:
            one.before = self.notes[one.step.name]['seconds']
            one.process = self._submit(one.step, self.folder / f'{one.step.name}.log')
            return False
        if code:
            self._fail(one, code)
            return True
        self.notes[one.step.name]['done'] = True
        self._told.add(one.step.name)
        self.save()
        one.report.finish(self.notes[one.step.name]['seconds'])
        return True

    def _fail(self, one: Running, code: int) -> None:
        """Note that a step failed, or end with it where the others cannot do without."""
        log = self.folder / f'{one.step.name}.log'
        ending = tail(log)
        if not one.step.may_fail or code in (STOPPED, TEMPORARY):
            self.save()
            self.report.progress.stop()
            raise CommandError(f'the step "{one.step.title}" failed; its log, {log}, ends with:\n{ending}', FAILED)
        last = next((line.strip() for line in reversed(ending.splitlines()) if line.strip()), f'exit code {code}')
        self.notes[one.step.name]['failed'] = last
        self._told.add(one.step.name)
        self.save()
        one.report.fail(last, log)

    def _take_time(self, one: Running) -> None:
        self.notes[one.step.name]['seconds'] = round(one.seconds, 1)

    def _beat(self, running: list[Running]) -> None:
        """Note the time of running steps once in a while."""
        late = [one for one in running if self._unnoted(one) > BEAT]
        for one in late:
            self._take_time(one)
        if late:
            self.save()

    def _unnoted(self, one: Running) -> float:
        return float(one.seconds - self.notes[one.step.name]['seconds'])

    def _end(self, running: list[Running]) -> None:
        """End the processes that still run, for whatever reason, and wait for them."""
        alive = [one for one in running if one.process.poll() is None]
        if not alive:
            return
        self.report.progress.stop()
        for one in alive:
            one.process.send_signal(signal.SIGTERM)  # a training writes a checkpoint
        for one in alive:
            one.process.wait()
            self._take_time(one)
            self.notes[one.step.name].pop('job', None)
        self.save()

    def _start_process(self, step: Step, log: Path) -> subprocess.Popen[bytes] | ServedProcess | JobProcess:
        """Start a step, or find the job that an earlier command has submitted for it.

        Raises:
            CommandError: if there is such a job and this command has no queue.
        """
        number = self.notes[step.name].get('job', {}).get('number')
        if number is not None and self.jobs is None:
            raise CommandError(f'the step "{step.title}" was begun as job {number} of a cluster; go on with --slurm')
        if self.jobs is not None:
            found = None if number is None else self.jobs.attach(number, log, step.resumes)
            if found is None:
                log.write_bytes(b'')
            return found or self._submit(step, log)
        resume = ['--resume'] if step.resumes and has_checkpoint(self.folder / step.name) else []
        return self._process([*step.command, *resume], log)

    def _submit(self, step: Step, log: Path) -> JobProcess:
        """Submit a job, and note its number, by which a later command finds it if this one is killed."""
        assert self.jobs is not None
        process = self.jobs.submit(step.command, log, step.resumes)
        note = self.notes[step.name]
        note['job'] = {'number': process.number, 'before': note['seconds']}
        self.save()
        return process

    def _process(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes] | ServedProcess:
        """Start a command whose output goes to a log."""
        if self.toolbox:
            os.environ.update(environment(self.processes), MMDAS_STEP_TOOLBOX=self.toolbox)  # the server takes it over
            return ServedProcess(command, log)
        with log.open('wb') as file:
            return subprocess.Popen(
                [sys.executable, '-m', 'mmdas', *command],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment(self.processes),
            )


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
