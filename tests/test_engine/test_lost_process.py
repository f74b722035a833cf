"""A process that hangs, or is killed, ends the others within the time that they wait for each other."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
from mmengine.config import Config
from toy_search import cls_model, loader
from two_processes import free_port, process_variables

from mmdas.apis import explain_lost_process
from mmdas.apis.reliable_run import check_timeout

ROOT = Path(__file__).parents[2]
SECONDS = 10
LOST = """
import os, signal, time
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Lost(Hook):
    def __init__(self, by):
        self.by = by

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if os.environ['RANK'] == '1' and runner.iter == 2:
            if self.by == 'kill':
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1000)
"""


def write_config(folder: Path, by: str) -> Path:
    model = cls_model()
    model['data_preprocessor'].update(cell=None)
    cfg = dict(
        default_scope='mmpretrain',
        custom_imports=dict(imports=['lost', 'toy_search']),
        model=model,
        train_dataloader=loader('PackInputs'),
        train_cfg=dict(by_epoch=True, max_epochs=20),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[dict(type='Lost', by=by)],
        env_cfg=dict(dist_cfg=dict(timeout=SECONDS)),
    )
    (folder / 'lost.py').write_text(LOST)
    Config(cfg).dump(folder / 'config.py')
    return folder / 'config.py'


def start(config: Path, rank: int, port: int) -> subprocess.Popen:
    paths = [
        str(ROOT),
        str(ROOT / 'tests'),
        str(config.parent),
        str(Path(__file__).parent),
        os.environ.get('PYTHONPATH', ''),
    ]
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(paths),
        **process_variables(rank, port),
        OMP_NUM_THREADS='1',
    )
    command = [sys.executable, '-m', 'mmdas', 'train', str(config), '--launcher', 'pytorch', '--work-dir', 'run']
    with (config.parent / f'log_{rank}').open('w') as log:
        return subprocess.Popen(command, cwd=config.parent, env=environment, stdout=log, stderr=log)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('by', 'reason'),
    [('sleep', f'another process did not answer for {SECONDS} s'), ('kill', 'another process has ended')],
)
def test_a_lost_process_ends_the_other_with_a_word(tmp_path, by, reason):
    config = write_config(tmp_path, by)
    port = free_port()
    begin = monotonic()
    lost, other = start(config, 1, port), start(config, 0, port)
    try:
        code = other.wait(timeout=200)
    finally:
        for process in (lost, other):
            process.send_signal(signal.SIGKILL)
            process.wait()
    log = (tmp_path / 'log_0').read_text()
    assert code not in (0, None), log
    assert monotonic() - begin < 150 + SECONDS
    assert f'processes wait for each other for {SECONDS} s at most' in log
    line = next(line for line in log.splitlines() if line.startswith('mmdas train: '))
    assert reason in line
    assert 'go on by --resume' in line
    assert 'Traceback' not in log


@pytest.mark.parametrize('seconds', [0, -5, 'x', True, float('nan'), float('inf'), 10**12, [5]])
def test_a_timeout_that_is_no_time_is_refused(seconds):
    with pytest.raises(ValueError, match=r'env_cfg.dist_cfg.timeout is .*, expected seconds'):
        check_timeout(Config(dict(env_cfg=dict(dist_cfg=dict(timeout=seconds)))))


@pytest.mark.parametrize(
    'environment', [None, {}, dict(dist_cfg=None), dict(dist_cfg=dict(timeout=None)), dict(dist_cfg=dict(timeout=0.5))]
)
def test_a_timeout_that_is_a_time_or_left_out_is_taken(environment):
    check_timeout(Config(dict(env_cfg=environment)))


@pytest.mark.parametrize('error', [RuntimeError('shapes differ'), ValueError('timed out')])
def test_other_errors_stay_what_they_are(error):
    assert explain_lost_process(error, Config(dict(env_cfg=dict(dist_cfg=dict(timeout=5))))) is None
