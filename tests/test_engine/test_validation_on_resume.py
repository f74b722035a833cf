"""Validations of runs that are interrupted before, in or after one: as if they had not been interrupted."""

import signal

import pytest
from mmengine.hooks import Hook
from toy_search import differences, run
from toy_training import state, training

from mmdas.engine.checkpoints import newest_checkpoint
from mmdas.engine.hooks import RunStopped
from mmdas.registry import HOOKS


@HOOKS.register_module()
class CountValidationsHook(Hook):
    """Count whole validations; end the run by an error before one, or by a signal in one."""

    priority = 'LOWEST'
    whole = 0

    def __init__(self, crash_at: int | None = None, signal_at: int | None = None) -> None:
        self.crash_at, self.signal_at = crash_at, signal_at

    def before_val_epoch(self, runner) -> None:
        if runner.iter == self.crash_at:
            raise ConnectionError('crash')

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter == self.signal_at:
            signal.raise_signal(signal.SIGTERM)

    def after_val_epoch(self, runner, metrics=None) -> None:
        type(self).whole += 1


@pytest.fixture(autouse=True)
def no_validation_yet():
    CountValidationsHook.whole = 0


def counted(work_dir, by_epoch, *hooks, **options):
    cfg = training(work_dir, by_epoch, 0, *(hooks or [dict(type='mmdas.CountValidationsHook')]), **options)
    cfg.val_dataloader.batch_size = 1
    return cfg


@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.slow
def test_a_resume_after_the_best_checkpoint_was_saved_is_exact(tmp_path, by_epoch):
    """The newest checkpoint is written once more then, in the validation."""

    def saving_best(folder, *hooks):
        cfg = training(tmp_path / folder, by_epoch, 0, *hooks)
        cfg.default_hooks.checkpoint.save_best = 'auto'
        return cfg

    whole = state(run(saving_best('whole')))
    with pytest.raises(ConnectionError):
        run(saving_best('resumed', dict(type='mmdas.InterruptHook', after=6)))
    checkpoint, content = newest_checkpoint(tmp_path / 'resumed')
    assert content['message_hub']['runtime_info']['best_ckpt']
    assert differences(state(run(saving_best('resumed'), resume=checkpoint)), whole) == []


@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.slow
def test_a_signal_in_a_validation_ends_it_and_the_resumed_run_validates(tmp_path, by_epoch):
    whole = state(run(counted(tmp_path / 'whole', by_epoch)))
    expected, CountValidationsHook.whole = CountValidationsHook.whole, 0
    with pytest.raises(RunStopped) as stopped:
        run(counted(tmp_path / 'stopped', by_epoch, dict(type='mmdas.CountValidationsHook', signal_at=4)))
    assert (stopped.value.code, CountValidationsHook.whole) == (75, 0)
    checkpoint, content = newest_checkpoint(tmp_path / 'stopped')
    assert content['meta']['iter'] == 4
    assert differences(state(run(counted(tmp_path / 'stopped', by_epoch), resume=checkpoint)), whole) == []
    assert CountValidationsHook.whole == expected


@pytest.mark.slow
def test_a_rate_that_depends_on_a_validation_which_a_crash_left_out_is_as_without(tmp_path):
    def with_plateaus(folder, *hooks):
        plateau = dict(type='ReduceOnPlateauLR', monitor='accuracy/top1', rule='greater', patience=0, threshold=500.0)
        return counted(tmp_path / folder, True, *hooks, param_scheduler=[plateau])

    whole = run(with_plateaus('whole'))
    with pytest.raises(ConnectionError):
        run(with_plateaus('crashed', dict(type='mmdas.CountValidationsHook', crash_at=8)))
    checkpoint, _ = newest_checkpoint(tmp_path / 'crashed')
    resumed = run(with_plateaus('crashed'), resume=checkpoint)
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    assert whole.optim_wrapper.get_lr()['lr'] != [0.05]
    assert differences(state(resumed), state(whole)) == []


def test_a_checkpoint_from_after_a_validation_does_not_validate_again(tmp_path):
    def saving_best(hook):
        cfg = training(tmp_path, False, 0, hook)
        cfg.default_hooks.checkpoint.save_best = 'auto'
        return cfg

    with pytest.raises(ConnectionError):
        run(saving_best(dict(type='mmdas.InterruptHook', after=6)))
    run(saving_best(dict(type='mmdas.CountValidationsHook')), resume=tmp_path / 'iter_4.pth')
    assert CountValidationsHook.whole == 2  # at 8 and 10
