"""Steps that run side by side."""

import os
import signal
import sys
import threading
import time

import pytest
from rich.console import Console

from mmdas.commands import step_runs
from mmdas.commands.parser import TEMPORARY, CommandError
from mmdas.commands.step_log import Report
from mmdas.commands.step_runs import Step, StepRuns, environment

WAIT = """#!/bin/sh
# as a step: python -m mmdas OWN OTHER
touch "$3"
[ "$4" = fail ] && exit 3
for _ in $(seq 200); do [ -e "$4" ] && exit 0; sleep 0.05; done
exit 1
"""


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """Each step makes the file of its first word, and waits for that of its second."""
    script = tmp_path / 'step.sh'
    script.write_text(WAIT)
    script.chmod(0o700)
    monkeypatch.setattr(sys, 'executable', str(script))
    monkeypatch.setattr(step_runs, 'POLL', 0.02)
    return lambda own, other: Step(own, own, [str(tmp_path / own), other if other == 'fail' else str(tmp_path / other)])


def runs_of(folder, processes):
    return StepRuns(folder, Report(Console()), 'notes.json', processes)


def test_steps_that_need_each_other_run_side_by_side(tmp_path, waiting):
    runs = runs_of(tmp_path, 2)
    runs.run_all([waiting('a', 'b'), waiting('b', 'a'), waiting('c', 'a')])
    assert all(runs.is_done(name) for name in 'abc')


def test_a_failure_ends_the_others_and_what_was_done_stays_done(tmp_path, waiting):
    runs = runs_of(tmp_path, 2)
    runs.run('c', 'c', waiting('c', 'c').command)
    start = time.monotonic()
    with pytest.raises(CommandError, match='the step "b" failed'):
        runs.run_all([waiting('a', 'never'), waiting('b', 'fail')])
    assert time.monotonic() - start < 5  # the other one waits for ten
    again = runs_of(tmp_path, 2)
    assert [again.is_done(name) for name in 'abc'] == [False, False, True]


def test_once_no_step_may_start_those_that_run_end(tmp_path, waiting):
    runs = runs_of(tmp_path, 1)
    answers = iter([True, False])
    runs.run_all([waiting('a', 'a'), waiting('b', 'b')], lambda: next(answers))
    assert runs.is_done('a')
    assert not runs.is_done('b')


def test_a_signal_ends_all_of_them(tmp_path, waiting):
    runs = runs_of(tmp_path, 2)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(CommandError, match='the same command goes on from here') as caught:
        runs.run_all([waiting('a', 'never'), waiting('b', 'never')])
    assert caught.value.code == TEMPORARY
    noted = runs_of(tmp_path, 2).notes
    assert noted['a']['seconds'] > 0.2
    assert noted['spent'] >= noted['a']['seconds'] - 0.2


def test_steps_side_by_side_share_the_cores(monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 8)
    assert environment(3)['OMP_NUM_THREADS'] == '2'
    assert 'OMP_NUM_THREADS' not in environment(1)
    monkeypatch.setenv('OMP_NUM_THREADS', '5')
    assert environment(3)['OMP_NUM_THREADS'] == '5'
