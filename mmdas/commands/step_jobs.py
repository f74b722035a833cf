"""Steps that are jobs of Slurm, submitted by submitit."""

from __future__ import annotations

import math
import os
import time
from ast import literal_eval
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .parser import FAILED, TEMPORARY, CommandError
from .step_job import StepJob
from .step_process import environment, newest

SHORT = {'gpus': 'gpus_per_node', 'cpus': 'cpus_per_task'}
SAME = {**SHORT, 'time': 'timeout_min', 'mem': 'mem_gb'}  # words of one setting
CLUSTERS = ('slurm', 'local')
SHARED = ('mem_gb', 'cpus_per_task', 'gpus_per_node')  # that submitit knows of all clusters
REFUSED = ('nodes', 'tasks_per_node', 'ntasks_per_node', 'name', 'job_name')  # a step is one process
# Ends that are no fault of the step.
BY_CLUSTER = ('BOOT_FAIL', 'CANCELLED', 'DEADLINE', 'NODE_FAIL', 'PREEMPTED', 'REVOKED')
PATIENCE = 90.0  # seconds that a job has to end after it was cancelled; Slurm kills it after 30


class Outcome(NamedTuple):
    """How a job has ended.

    Args:
        code: exit code of its command.
        seconds: that the command took.
        again: whether it was stopped, and its run has got further than its newest checkpoint before.
    """

    code: int
    seconds: float
    again: bool = False


class JobProcess:
    """A job, as of :class:`subprocess.Popen`.

    Args:
        job: of submitit.
        log: of the step.
        size: bytes that the log had before the job.
        run: folder of a run that ``--resume`` goes on with. Default: the command is none.
        before: path of its newest checkpoint before the job.
    """

    def __init__(self, job: Any, log: Path, size: int = 0, run: Path | None = None, before: str | None = None) -> None:
        self.job, self.log, self.size, self.run, self.before = job, log, size, run, before
        self.number: str = job.job_id
        self.outcome: Outcome | None = None
        self._start: float | None = None

    @property
    def waits(self) -> bool:
        """Whether the job still waits in the queue: each begins with a line in the log."""
        if self._start is None and self.log.stat().st_size > self.size:
            self._start = time.monotonic()
        return self._start is None and self.outcome is None

    @property
    def seconds(self) -> float:
        """Seconds that the job has run, without those in the queue."""
        if self.outcome is not None:
            return self.outcome.seconds
        return 0.0 if self.waits or self._start is None else time.monotonic() - self._start

    def poll(self) -> int | None:
        """Exit code of the command; None until the job has ended."""
        if self.outcome is None and (self.job.done() or self._preempted()):
            code, seconds = self._read()
            again = code == TEMPORARY and newest(self.run) != self.before
            self.outcome = Outcome(code, seconds, again)
        return None if self.outcome is None else self.outcome.code

    def send_signal(self, number: int) -> None:
        """Cancel the job, whatever the signal; Slurm tells it by SIGTERM, and kills it 30 seconds later."""
        self.job.cancel(check=False)

    def wait(self) -> int | None:
        """Wait for the end of a job that was cancelled, for as long as that may take; the exit code."""
        end = time.monotonic() + PATIENCE
        while self.poll() is None and not self.job.done(force_check=True) and time.monotonic() < end:
            time.sleep(1)
        return self.poll()

    def _preempted(self) -> bool:
        """Whether the job gave way to another; submitit waits for Slurm to start it again, which no job asks for."""
        return str(self.job.state).startswith('PREEMPTED')

    def _read(self) -> tuple[int, float]:
        """What a job that has ended returned; where it left nothing, the log says so."""
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            if self.job.paths.result_pickle.exists() or not self._preempted():
                code, seconds = self.job.result()
                return code, seconds
        except (UncompletedJobError, FailedJobError):
            pass
        state = (self.job.state.split() or ['UNKNOWN'])[0]
        with self.log.open('a', encoding='utf-8') as log:
            log.write(f'job {self.number} ended as {state}; see {self.job.paths.stderr}\n')
        return TEMPORARY if state in BY_CLUSTER else FAILED, self.seconds


class JobQueue:
    """Where steps are submitted as jobs.

    Args:
        folder: of all steps; its ``slurm`` is that of submitit. The cluster's nodes must see it.
        texts: ``KEY=VALUE`` of all jobs. ``time`` (such as ``4h``) is needed, and is the most that a job may take.
            ``partition``, ``gpus``, ``cpus``, ``mem_gb``, ``account``, ``qos``, ``constraint`` ... are parameters of
            submitit. ``cluster=local`` runs jobs here, without Slurm.

    Raises:
        ImportError: without submitit.
        ValueError: for a text that is none, an unknown key, or a machine without Slurm.
    """

    def __init__(self, folder: Path, texts: Sequence[str]) -> None:
        try:
            from submitit import AutoExecutor
        except ImportError as error:
            raise ImportError("--slurm needs submitit: pip install 'mmdas[slurm]'") from error
        parameters = read_parameters(texts)
        self.folder = folder.resolve()
        os.environ['PYTHONPATH'] = environment()['PYTHONPATH']  # Slurm hands the environment on to its jobs
        try:
            self.executor = AutoExecutor(self.folder / 'slurm', cluster=parameters.pop('cluster', 'slurm'))
            self.executor.update_parameters(**parameters)
        except (AssertionError, NameError, RuntimeError, ValueError) as error:
            raise ValueError(f'--slurm {" ".join(texts)}: {str(error).partition(chr(10))[0]}') from error

    def submit(self, command: Sequence[str], log: Path, resumes: bool = False) -> JobProcess:
        """Submit a command of mmdas.

        Args:
            command: what stands after ``mmdas``.
            log: for all that it prints; its name is that of the step.
            resumes: whether the step is a run that ``--resume`` goes on with.

        Raises:
            CommandError: if the cluster takes no such job.
        """
        from submitit.core.utils import FailedJobError
        from submitit.helpers import clean_env

        self.executor.update_parameters(name=f'mmdas_{log.stem}')
        run = self.folder / log.stem if resumes else None
        size, before = log.stat().st_size, newest(run)
        try:
            with clean_env():
                job = self.executor.submit(StepJob(command, log.resolve(), run))
            return JobProcess(job, log, size, run, before)
        except (FailedJobError, OSError) as error:
            raise CommandError(f'{log.stem} could not be submitted: {" ".join(str(error).split())}', FAILED) from error

    def attach(self, number: str, log: Path, resumes: bool = False) -> JobProcess | None:
        """The job that an earlier command has submitted; None where the cluster knows it no more, or not yet.

        Such a job is cancelled, so that no two write to one folder.
        """
        from submitit import LocalJob, SlurmJob

        kind = SlurmJob if self.executor.cluster == 'slurm' else LocalJob
        job: Any = kind(self.executor.folder, number)
        known = job.paths.result_pickle.exists() or (kind is SlurmJob and job.get_info())
        if known:
            return JobProcess(job, log, run=self.folder / log.stem if resumes else None)
        job.cancel(check=False)
        return None


def read_parameters(texts: Sequence[str]) -> dict[str, Any]:
    """The parameters of submitit from texts.

    Raises:
        ValueError: naming the text, also where two set the same.
    """
    from .train import seconds_of

    found: dict[str, Any] = {}
    given: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition('=')
        if not (key.isidentifier() and equals and value):
            raise ValueError(f'--slurm {text}: give KEY=VALUE, such as partition=gpu time=4h gpus=1')
        if key in REFUSED:
            raise ValueError(f'--slurm {text}: each step is a job of one process, whose name is that of the step')
        name = SHORT.get(key, key)
        if key == 'cluster' and value not in CLUSTERS:
            raise ValueError(f'--slurm {text}: give cluster=local, or leave it out for Slurm')
        setting = SAME.get(key, key)
        if setting in given:
            raise ValueError(f'--slurm {given[setting]} {text}: both are the same setting; give one of them')
        given[setting] = text
        if key == 'time':
            found['timeout_min'] = math.ceil(seconds_of(value, f'--slurm time={value}') / 60)
        else:
            found[name if name in (*SHARED, 'cluster') else f'slurm_{name}'] = value_of(value)
    if 'timeout_min' not in found:
        raise ValueError('--slurm needs time=TIME, the most that a step may take, such as time=4h')
    # a job that was stopped is submitted anew, and Slurm must not start it a second time
    found['slurm_additional_parameters'] = {'no-requeue': True, **found.get('slurm_additional_parameters', {})}
    return found


def value_of(text: str) -> Any:
    """A number, a list or another value of Python, or the text itself, also where the value would be written otherwise.

    An account ``1e5`` stays what it is, and a partition ``None``, which submitit would take for none.
    """
    try:
        value = literal_eval(text)
    except (SyntaxError, ValueError):
        return text
    changed = value is None or (isinstance(value, (int, float)) and str(value) != text)
    return text if changed else value
