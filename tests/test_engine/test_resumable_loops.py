"""Trainings that are resumed as if they had not been interrupted."""

import signal
import subprocess
import time
from multiprocessing import active_children

import pytest
import torch
from mmengine.hooks import Hook
from toy_search import differences, run
from toy_training import state, training

from mmdas.engine.checkpoints import newest_checkpoint
from mmdas.engine.data_error import DataError
from mmdas.engine.hooks import RunStopped
from mmdas.engine.runner.endless_batches import EndlessBatches
from mmdas.engine.runner.sample_seeds import PlacedDataset, PlacedSampler
from mmdas.registry import HOOKS


@HOOKS.register_module()
class SignalAllHook(Hook):
    """Send SIGTERM to this process and its workers after an iteration, as schedulers do."""

    priority = 'NORMAL'

    def __init__(self, after: int) -> None:
        self.after = after
        self.others: set = set()

    def before_train(self, runner) -> None:
        self.others = set(active_children())

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 == self.after:
            workers = set(active_children()) - self.others
            assert len(workers) == 2
            subprocess.run(['kill', '-TERM', *(str(worker.pid) for worker in workers)], check=True)
            time.sleep(0.5)  # in which PyTorch would tell of workers that ended
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    runs = {}

    def of(by_epoch: bool, workers: int) -> dict:
        if (by_epoch, workers) not in runs:
            folder = tmp_path_factory.mktemp('whole')
            runs[by_epoch, workers] = state(run(training(folder, by_epoch, workers)))
        return runs[by_epoch, workers]

    return of


@pytest.mark.parametrize('workers', [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.parametrize('by', ['crash', 'SIGUSR1'])
def test_a_resumed_training_equals_one_that_was_not_interrupted(tmp_path, uninterrupted, by_epoch, workers, by):
    hook = dict(type='mmdas.InterruptHook', after=6, by=by)
    with pytest.raises((ConnectionError, RunStopped)):
        run(training(tmp_path, by_epoch, workers, hook))
    checkpoint, content = newest_checkpoint(tmp_path)
    assert content['meta']['iter'] == (6 if by == 'SIGUSR1' else 4)
    resumed = run(training(tmp_path, by_epoch, workers), resume=checkpoint)
    assert differences(state(resumed), uninterrupted(by_epoch, workers)) == []


@pytest.mark.slow
def test_a_schedule_that_keeps_its_curve_as_a_method_is_resumed_from_plain_data(tmp_path):
    def once(folder, *hooks):
        cycle = dict(type='OneCycleLR', eta_max=0.2, total_steps=3, by_epoch=True, convert_to_iter_based=True)
        return training(tmp_path / folder, True, 0, *hooks, param_scheduler=[cycle])

    whole = run(once('whole'))
    with pytest.raises(ConnectionError):
        run(once('crashed', dict(type='mmdas.InterruptHook', after=5)))
    checkpoint, _ = newest_checkpoint(tmp_path / 'crashed')
    torch.load(checkpoint, weights_only=True)
    resumed = run(once('crashed'), resume=checkpoint)
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    assert differences(state(resumed), state(whole)) == []


def test_the_number_of_workers_does_not_change_a_training(uninterrupted):
    left, right = ({**uninterrupted(False, workers), 'random_states': None} for workers in (2, 0))
    assert differences(left, right) == []


@pytest.mark.slow
def test_a_checkpoint_that_a_signal_left_goes_when_the_next_one_is_there(tmp_path):
    with pytest.raises(RunStopped):
        run(training(tmp_path, True, 0, dict(type='mmdas.InterruptHook', after=6, by='SIGTERM')))
    assert {path.name for path in tmp_path.glob('*.pth')} == {'epoch_1.pth', 'epoch_1_iter_6.pth'}
    run(training(tmp_path, True, 0), resume=tmp_path / 'epoch_1_iter_6.pth')
    assert {path.name for path in tmp_path.glob('*.pth')} == {'epoch_3.pth'}


@pytest.mark.parametrize(('name', 'code'), [('SIGTERM', 75), ('SIGUSR1', 75), ('SIGINT', 130)])
def test_each_signal_has_its_exit_code(tmp_path, name, code):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)]
    with pytest.raises(RunStopped) as stopped:
        run(training(tmp_path, False, 0, dict(type='mmdas.InterruptHook', after=1, by=name)))
    assert stopped.value.code == code
    assert (tmp_path / 'iter_1.pth').is_file()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)] == handlers


def test_what_a_killed_run_had_begun_to_write_is_removed(tmp_path):
    (tmp_path / '.iter_4.pth.abc.part').write_bytes(b'')
    run(training(tmp_path, False, 0))
    assert not list(tmp_path.glob('.*.part'))


@pytest.mark.parametrize('by_epoch', [False, True])
@pytest.mark.slow
def test_gradients_that_are_being_accumulated_survive_a_resume(tmp_path, by_epoch):
    def accumulating(folder, *hooks):
        cfg = training(tmp_path / folder, by_epoch, 0, *hooks)
        cfg.optim_wrapper.accumulative_counts = 3  # the checkpoint at 4 holds those of one iteration
        return cfg

    whole = state(run(accumulating('whole')))
    with pytest.raises(ConnectionError):
        run(accumulating('resumed', dict(type='mmdas.InterruptHook', after=5)))
    checkpoint, content = newest_checkpoint(tmp_path / 'resumed')
    assert (content['meta']['iter'], bool(content['gradients'])) == (4, True)
    assert differences(state(run(accumulating('resumed'), resume=checkpoint)), whole) == []


@pytest.mark.slow
def test_early_stopping_ends_a_resumed_training_where_it_ends_one_without_interruption(tmp_path):
    def stopping(folder, *hooks):
        early = dict(type='EarlyStoppingHook', monitor='accuracy/top1', min_delta=1000.0, patience=3)
        cfg = training(tmp_path / folder, True, 0, early, *hooks)
        cfg.train_cfg.max_epochs = 9
        cfg.default_hooks.checkpoint.save_best = 'auto'  # writes the checkpoint once more, in the validation
        return cfg

    whole = run(stopping('whole'))
    with pytest.raises(ConnectionError):
        run(stopping('resumed', dict(type='mmdas.InterruptHook', after=10)))
    resumed = run(stopping('resumed'), resume=newest_checkpoint(tmp_path / 'resumed')[0])
    assert (resumed.epoch, whole.epoch) == (4, 4)  # the first is the best, and three are not better
    assert differences(state(resumed), state(whole)) == []


def test_an_epoch_without_a_batch_is_refused(tmp_path):
    cfg = training(tmp_path, True, 0)
    cfg.train_dataloader.update(batch_size=8, drop_last=True)
    with pytest.raises(DataError, match='7 samples has no batch of 8'):
        run(cfg)


def test_an_epoch_without_an_end_is_refused(tmp_path):
    cfg = training(tmp_path, by_epoch=True, workers=0)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler')
    with pytest.raises(DataError, match='InfiniteSampler of train_dataloader is for a training by iterations'):
        run(cfg)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, 'sigwaitinfo'), reason='this system does not tell who sent a signal')
def test_a_signal_to_all_processes_of_a_job_saves_as_one_to_the_main_process(tmp_path, uninterrupted):
    with pytest.raises(RunStopped):
        run(training(tmp_path, False, 2, dict(type='mmdas.SignalAllHook', after=6)))
    checkpoint, content = newest_checkpoint(tmp_path)
    assert content['meta']['iter'] == 6
    resumed = run(training(tmp_path, False, 2), resume=checkpoint)
    assert differences(state(resumed), uninterrupted(False, 2)) == []


@pytest.mark.slow
@pytest.mark.parametrize('by_epoch', [False, True])
def test_workers_that_stay_end_with_the_training(tmp_path, by_epoch):
    cfg, before = training(tmp_path, by_epoch, 2), set(active_children())
    cfg.val_dataloader.update(num_workers=1, persistent_workers=True)
    runner = run(cfg)
    assert set(active_children()) <= before
    assert next(iter(runner.val_loop.dataloader)), 'a loader that is used again starts new ones'


@pytest.mark.slow
def test_the_workers_of_a_training_that_failed_end_with_it(tmp_path):
    with pytest.raises(ConnectionError) as failed:
        run(training(tmp_path, False, 2, dict(type='mmdas.InterruptHook', after=2)))
    workers = active_children()  # which the traceback keeps
    assert workers and failed
    for worker in workers:
        worker.terminate()  # as Python does at its end
        worker.join(10)
    assert not any(worker.is_alive() for worker in workers)


# the random numbers of a sample


class Draws(torch.utils.data.Dataset):
    """Samples that are random numbers."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.cat([torch.rand(1), torch.tensor([float(index)])])


def draws(workers: int, skip: int = 0) -> list:
    """What two passes of three batches give, from a batch on."""
    data = Draws()
    sampler = PlacedSampler(data, dict(type='DefaultSampler', shuffle=True), seed=3)
    placed = torch.utils.data.DataLoader(PlacedDataset(data, seed=3), 2, sampler=sampler, num_workers=workers)
    batches = EndlessBatches(placed)
    batches.skip(skip)
    return [next(batches) for _ in range(6 - skip)]


@pytest.mark.parametrize('skip', range(6))
def test_the_random_numbers_of_a_sample_do_not_depend_on_what_was_loaded_before(skip):
    whole = draws(0)
    assert all(torch.equal(*pair) for pair in zip(draws(0, skip), whole[skip:], strict=True))
    values = torch.cat([batch[:, 0] for batch in whole])
    assert len(values.unique()) == len(values) == 10  # no two samples, and no two passes, share theirs


@pytest.mark.slow
def test_the_random_numbers_of_a_sample_do_not_depend_on_the_workers():
    assert all(torch.equal(*pair) for pair in zip(draws(2), draws(0), strict=True))


def test_loading_in_the_main_process_leaves_its_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    data = PlacedDataset(Draws(), seed=1)
    index = next(iter(PlacedSampler(data, dict(type='DefaultSampler', shuffle=False), seed=0)))
    torch.manual_seed(5)
    first = torch.rand(1)
    data[index]
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)
