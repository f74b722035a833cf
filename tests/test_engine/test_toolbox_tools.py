"""Runs that the toolboxes' own tools start, which have what their config names."""

import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from toy_search import differences, quick_configs
from toy_training import state, training

from mmdas.engine.checkpoints import newest_checkpoint
from mmdas.engine.hooks import RunStopped


def start(cfg, *hooks, resume: bool = False) -> Runner:
    """What ``tools/train.py`` of the toolboxes does."""
    loops = {True: 'mmdas.ResumableEpochBasedTrainLoop', False: 'mmdas.ResumableIterBasedTrainLoop'}
    options = {key: value for key, value in cfg.train_cfg.items() if key not in ('type', 'by_epoch')}
    cfg.train_cfg = dict(type=loops['max_epochs' in cfg.train_cfg], **options)
    cfg.default_hooks.checkpoint.type = 'mmdas.AtomicCheckpointHook'
    guards = [dict(type='mmdas.FiniteLossHook'), dict(type='mmdas.StopSignalHook')]
    cfg.custom_hooks = [*cfg.custom_hooks, *guards, *hooks]
    cfg.resume = resume
    with quick_configs(), DefaultScope.overwrite_default_scope(cfg.default_scope):
        runner = Runner.from_cfg(cfg)
        runner.train()
    return runner


@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.slow
def test_a_config_that_names_the_guards_has_them(tmp_path, by_epoch):
    whole = state(start(training(tmp_path / 'whole', by_epoch, 0)))
    with pytest.raises(RunStopped):
        start(training(tmp_path / 'cut', by_epoch, 0), dict(type='mmdas.InterruptHook', after=5, by='SIGUSR1'))
    assert newest_checkpoint(tmp_path / 'cut')[1]['meta']['iter'] == 5
    resumed = start(training(tmp_path / 'cut', by_epoch, 0), resume=True)
    assert differences(state(resumed), whole) == []
