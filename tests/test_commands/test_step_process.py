"""Steps that are copies of a server."""

import random
import signal
import sys

import numpy as np
import pytest
from rich.console import Console

from mmdas.commands import step_runs
from mmdas.commands.parser import CommandError
from mmdas.commands.step_log import Report
from mmdas.commands.step_process import ServedProcess, draw_anew
from mmdas.commands.step_runs import StepRuns
from mmdas.version import __version__

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='steps are copies of a server on Linux alone')


@pytest.fixture(autouse=True)
def without_imports(monkeypatch):
    """The server imports nothing, which takes long; the environment stays."""
    monkeypatch.setattr(step_runs, 'ServedProcess', lambda command, log: ServedProcess(command, log, ()))
    monkeypatch.setenv('MMDAS_STEP_TOOLBOX', 'mmseg')
    monkeypatch.setattr(step_runs, 'environment', lambda _: {})


@pytest.mark.slow
def test_a_command_runs_with_its_output_in_the_log_and_its_exit_code(tmp_path):
    runs = StepRuns(tmp_path, Report(Console()), 'notes.json', toolbox='mmseg')
    runs.run('version', 'version', ['--version'])
    assert runs.is_done('version') and (tmp_path / 'version.log').read_text() == f'mmdas {__version__}\n'
    with pytest.raises(CommandError, match='there is no command tran; did you mean train'):
        runs.run('slip', 'slip', ['tran'])


def test_copies_of_a_server_draw_numbers_of_their_own():
    state = random.getstate(), np.random.get_state()
    drawn = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)  # as in each copy
        draw_anew()
        drawn += [random.random(), np.random.rand()]
    random.setstate(state[0])
    np.random.set_state(state[1])
    assert len(set(drawn)) == 4


def test_a_signal_ends_it(tmp_path):
    process = ServedProcess(['check'], tmp_path / 'log', ())
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL == process.poll()
    process.send_signal(signal.SIGKILL)  # nothing is there any more
