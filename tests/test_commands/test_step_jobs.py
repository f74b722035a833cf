"""Steps that are jobs of a cluster: submitit is real, Slurm a few scripts (``fake_slurm.py``)."""

import builtins
import json
import os
import signal
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import fake_slurm
import pytest
import torch
from rich.console import Console

from mmdas.commands import step_job, step_jobs, step_runs
from mmdas.commands.parser import FAILED, TEMPORARY, CommandError
from mmdas.commands.step import Step
from mmdas.commands.step_job import StepJob, forward_time_limit
from mmdas.commands.step_jobs import JobProcess, JobQueue, read_parameters
from mmdas.commands.step_log import Report
from mmdas.commands.step_process import newest
from mmdas.commands.step_runs import StepRuns
from mmdas.version import __version__

SETTINGS = ['partition=day', 'time=2h', 'gpus=1', 'mem_gb=8', 'constraint=a&b']
VERSION = Step('version', 'version', ['--version'])


@pytest.fixture(autouse=True)
def same_path(monkeypatch):
    """The queue adds to it."""
    monkeypatch.setenv('PYTHONPATH', os.environ.get('PYTHONPATH', ''))


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """The folder of a Slurm whose jobs wait until its file ``hold`` is gone."""
    submitit = pytest.importorskip('submitit', reason='submitit is not installed')
    monkeypatch.setattr(submitit.SlurmJob, '_results_timeout_s', 0.2)
    monkeypatch.setattr(step_runs, 'POLL', 0.05)
    monkeypatch.setattr(step_jobs, 'PATIENCE', 5.0)
    yield fake_slurm.install(tmp_path / 'fake', monkeypatch)
    submitit.SlurmJob.watcher.clear()  # numbers of jobs begin anew
    submitit.SlurmJob.watcher._registered.clear()


def runs_of(folder, processes=1):
    folder.mkdir(exist_ok=True)
    return StepRuns(folder, Report(Console()), 'notes.json', processes, jobs=JobQueue(folder, SETTINGS))


def scripts(slurm):
    return (slurm / 'scripts').read_text().splitlines() if (slurm / 'scripts').is_file() else []


@pytest.mark.slow
def test_a_step_is_a_job_with_the_settings_and_its_output_in_the_log(tmp_path, slurm):
    runs = runs_of(tmp_path / 'out')
    runs.run_all([VERSION])
    assert runs.is_done('version')
    first, *others = (tmp_path / 'out' / 'version.log').read_text().splitlines()
    assert first.startswith('job 1 on ') and others[-1] == f'mmdas {__version__}'
    assert 'job' not in runs.notes['version'] and runs.notes['version']['seconds'] < 60
    (script,) = (tmp_path / 'out' / 'slurm').glob('1_submission.sh')
    lines = script.read_text().splitlines()
    for expected in ('partition=day', 'time=120', 'gpus-per-node=1', 'mem=8GB', "constraint='a&b'"):
        assert f'#SBATCH --{expected}' in lines
    assert {'#SBATCH --job-name=mmdas_version', '#SBATCH --no-requeue'} <= set(lines)
    again = runs_of(tmp_path / 'out')
    again.run_all([VERSION])
    assert len(scripts(slurm)) == 1, 'it is not done twice'


@pytest.mark.slow
def test_a_step_that_fails_is_told_as_without_a_cluster(tmp_path, slurm):
    runs = runs_of(tmp_path / 'out')
    runs.run_all([Step('a', 'a', ['tran'], may_fail=True)])
    assert 'there is no command tran; did you mean train' in runs.failure('a')
    with pytest.raises(CommandError, match='there is no command serach; did you mean search'):
        runs.run_all([Step('b', 'b', ['serach'])])


@pytest.mark.slow
def test_a_job_of_a_command_that_was_killed_is_found_again_and_not_submitted_twice(tmp_path, slurm):
    (slurm / 'hold').touch()
    killed = runs_of(tmp_path / 'out')
    assert killed._is_open(VERSION)
    log = tmp_path / 'out' / 'version.log'
    log.touch()
    killed._submit(VERSION, log)
    killed.notes['version']['seconds'] = 100.0  # as noted while it ran: the job counts them, too
    killed.save()
    assert json.loads((tmp_path / 'out' / 'notes.json').read_text())['version']['job']['number'] == '1'
    with pytest.raises(CommandError, match='begun as job 1 of a cluster; go on with --slurm'):
        StepRuns(tmp_path / 'out', Report(Console()), 'notes.json').run_all([VERSION])
    (slurm / 'hold').unlink()
    runs = runs_of(tmp_path / 'out')
    runs.run_all([VERSION])
    assert runs.is_done('version') and len(scripts(slurm)) == 1
    assert runs.notes['version']['seconds'] < 60


@pytest.mark.slow
def test_a_job_that_the_cluster_does_not_know_is_submitted_anew(tmp_path, slurm):
    (tmp_path / 'out').mkdir()
    job = {'number': '77', 'before': 0.0}
    note = {'command': ['--version'], 'seconds': 3.0, 'done': False, 'job': job}
    (tmp_path / 'out' / 'notes.json').write_text(json.dumps({'version': note}))
    runs = runs_of(tmp_path / 'out')
    runs.run_all([VERSION])
    assert runs.is_done('version') and len(scripts(slurm)) == 1
    assert runs.notes['version']['seconds'] >= 3


@pytest.mark.slow
def test_time_in_the_queue_counts_neither_for_the_step_nor_for_all(tmp_path, slurm):
    (slurm / 'hold').touch()
    threading.Timer(3.0, (slurm / 'hold').unlink).start()
    start, runs = time.monotonic(), runs_of(tmp_path / 'out')
    runs.run_all([VERSION])
    took = time.monotonic() - start
    assert runs.spent <= took - 2.9
    assert runs.notes['version']['seconds'] <= took - 2.9


@pytest.mark.slow
def test_what_the_cluster_ends_is_told_and_tried_again_where_the_step_is_not_to_blame(tmp_path, slurm):
    for state, code in (
        ('NODE_FAIL', TEMPORARY),
        ('OUT_OF_MEMORY', FAILED),
        ('CANCELLED by 7', TEMPORARY),
        ('PREEMPTED', TEMPORARY),
    ):
        (slurm / 'hold').touch()
        log = tmp_path / 'step.log'
        log.write_text('')
        process = JobQueue(tmp_path, SETTINGS).submit(['--version'], log)
        assert process.poll() is None and process.waits
        (slurm / f'{process.number}.state').write_text(state)
        process.job.watcher.update()
        assert process.poll() == code
        assert f'job {process.number} ended as {state.split()[0]}; see ' in log.read_text()
        (slurm / 'hold').unlink()


@pytest.mark.slow
def test_a_stop_cancels_all_jobs(tmp_path, slurm):
    (slurm / 'hold').touch()
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    runs = runs_of(tmp_path / 'out', processes=2)
    with pytest.raises(CommandError, match='the same command goes on from here'):
        runs.run_all([VERSION, Step('other', 'other', ['--version'])])
    assert [(slurm / f'{number}.state').read_text().split()[0] for number in (1, 2)] == ['CANCELLED'] * 2
    assert not any('job' in runs.notes[name] for name in ('version', 'other'))


class Stopped:
    """A queue whose first jobs are stopped, and save a checkpoint before or not."""

    def __init__(self, folder, saved):
        self.folder, self.saved = folder, list(saved)

    def submit(self, command, log, resumes):
        run = self.folder / log.stem
        before = newest(run)
        code = TEMPORARY if self.saved else 0
        if self.saved and self.saved.pop(0):
            save(run)
        job = SimpleNamespace(job_id='1', done=lambda: True, state='', result=lambda: (code, 4.0))
        job.paths = SimpleNamespace(result_pickle=log)
        return JobProcess(job, log, 0, run if resumes else None, before)


def save(run):
    run.mkdir(exist_ok=True)
    number = len(list(run.iterdir())) + 1
    torch.save({'meta': {'iter': number, 'epoch': 0}, 'state_dict': {}}, run / f'iter_{number}.pth')


def test_a_job_that_was_stopped_is_submitted_again_for_as_long_as_it_gets_on(tmp_path):
    runs = StepRuns(tmp_path, Report(Console()), 'notes.json', jobs=Stopped(tmp_path, [True, True]))
    runs.run_all([Step('train', 'train', ['train'], resumes=True)])
    assert runs.is_done('train') and runs.notes['train']['seconds'] == 12
    runs.jobs = Stopped(tmp_path, [True, False])
    with pytest.raises(CommandError, match='the step "other" failed'):
        runs.run_all([Step('other', 'other', ['train'], resumes=True, may_fail=True)])
    assert runs.failure('other') is None, 'the same command tries it again'
    assert runs.notes['other']['seconds'] == 8


def test_a_job_resumes_what_was_begun(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(step_job, 'printed_to', lambda _: nullcontext())
    monkeypatch.setattr(step_job, 'forward_time_limit', lambda: None)
    monkeypatch.setattr(step_job, 'run_to_end', lambda command: commands.append(command) or 0)
    job = StepJob(['train', 'x'], tmp_path / 'log', tmp_path / 'run')
    job()
    save(tmp_path / 'run')
    job()
    StepJob(['test'], tmp_path / 'log')()
    assert commands == [['train', 'x'], ['train', 'x', '--resume'], ['test']]


def test_the_end_of_the_time_of_a_job_is_to_its_process_what_sigterm_is():
    caught = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    try:
        signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
        forward_time_limit()
        os.kill(os.getpid(), signal.SIGUSR2)
        child = os.fork()
        if not child:  # a worker of a data loader gets it, too
            os.kill(os.getpid(), signal.SIGUSR2)
            os._exit(len(caught))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(caught) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_settings_are_those_of_submitit_with_short_words():
    found = read_parameters(['time=90m', 'gpus=2', 'cpus=4', 'partition=day', 'account=7', 'exclude=n[1-3]'])
    own = dict(timeout_min=90, gpus_per_node=2, cpus_per_task=4)
    slurm = dict(slurm_partition='day', slurm_account=7, slurm_exclude='n[1-3]')
    assert found == {**own, **slurm, 'slurm_additional_parameters': {'no-requeue': True}}


@pytest.mark.parametrize('text', ['1e5', '1_0', '0x10', '007', '1.50', 'None', '7', '1.5', 'True', 'a&b'])
def test_a_setting_reaches_the_cluster_as_it_was_written(text):
    assert str(read_parameters(['time=1h', f'account={text}'])['slurm_account']) == text


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        (['partition=day'], 'needs time=TIME'),
        (['time=4x'], '--slurm time=4x: give a time'),
        (['time'], 'give KEY=VALUE'),
        (['time=1h', 'nodes=2'], '--slurm nodes=2: each step is a job of one process'),
        (['time=1h', 'partitoin=day'], r"Unknown argument 'partitoin'[^\n]*\Z"),
        (['time=1h', 'time=2h'], '--slurm time=1h time=2h: both are the same setting'),
        (['time=1h', 'timeout_min=5'], 'time=1h timeout_min=5: both are the same setting'),
        (['gpus=1', 'time=1h', 'gpus_per_node=2'], 'gpus=1 gpus_per_node=2: both are the same setting'),
        (['time=1h', 'mem=8GB', 'mem_gb=32'], 'mem=8GB mem_gb=32: both are the same setting'),
        (['time=1h', 'cluster=debug'], '--slurm cluster=debug: give cluster=local'),
        (['time=1h', 'gpus=many'], '"gpus_per_node" expected type'),
    ],
)
def test_wrong_settings_are_told(tmp_path, slurm, texts, message):
    with pytest.raises(ValueError, match=message):
        JobQueue(tmp_path, texts)


def test_a_machine_without_slurm_or_submitit_is_told(tmp_path, monkeypatch):
    pytest.importorskip('submitit', reason='submitit is not installed')
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ValueError, match='are you indeed on a slurm cluster'):
        JobQueue(tmp_path, ['time=1h'])
    real = builtins.__import__

    def without(name, *others):
        if name == 'submitit':
            raise ImportError(name)
        return real(name, *others)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ImportError, match=r"pip install 'mmdas\[slurm\]'"):
        JobQueue(tmp_path, ['time=1h'])
