"""Runs that are resumed under other settings than they began with: refused, or accepted with a word."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from toy_search import cell_config, epoch_search, iter_search, loader, read_log, run, seg_model
from toy_training import training

from mmdas.engine.hooks import RunStopped
from mmdas.engine.run_differences import compare_runs
from mmdas.engine.run_record import KEY, RELEASES, first
from mmdas.models.settings import DifferenceError

Change = Callable[[Config], object]


def stopped(cfg: Config, after: int) -> Path:
    """The checkpoint of a run that a signal has stopped after an iteration."""
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='mmdas.InterruptHook', after=after, by='SIGTERM')]
    with pytest.raises(RunStopped):
        run(cfg)
    newest = max(Path(cfg.work_dir).glob('*.pth'), key=lambda path: path.stat().st_mtime)
    kept = Path(cfg.work_dir, 'kept')  # the next checkpoint of its resumption would replace it
    kept.mkdir()
    return Path(shutil.copy(newest, kept))


@pytest.fixture(scope='module')
def by_iterations(tmp_path_factory) -> Path:
    """A training of 10 iterations after 6."""
    return stopped(training(tmp_path_factory.mktemp('iterations'), False, 0), 6)


@pytest.fixture(scope='module')
def by_epochs(tmp_path_factory) -> Path:
    """A training of 3 epochs of 4 batches, after 2 batches of the second one."""
    return stopped(training(tmp_path_factory.mktemp('epochs'), True, 0), 6)


def search_of_iterations(work_dir: Path) -> Config:
    """2 iterations of the weights, 3 of the policy, and the selection."""
    return iter_search(work_dir)


@pytest.fixture(scope='module')
def search(tmp_path_factory) -> Path:
    """It, after 4 iterations."""
    return stopped(search_of_iterations(tmp_path_factory.mktemp('search')), 4)


@pytest.fixture(scope='module')
def selecting(tmp_path_factory) -> Path:
    """It, after the first decision."""
    return stopped(search_of_iterations(tmp_path_factory.mktemp('selecting')), 6)


@pytest.fixture(scope='module')
def search_of_epochs(tmp_path_factory) -> Path:
    """A search that counts in epochs of 3 batches, in the second one."""
    return stopped(epoch_search(tmp_path_factory.mktemp('epochs')), 4)


def resumed(cfg: Config, checkpoint: Path, change: Change = lambda cfg: None):
    change(cfg)
    return run(cfg, resume=checkpoint)


# a training


@pytest.mark.parametrize(('size', 'left'), [(1, 3 + 7), (2, 2 + 4), (4, 1 + 2), (7, 1 + 1)])
def test_batches_of_another_size_go_on_where_the_epoch_stood(by_epochs, tmp_path, size, left):
    runner = resumed(training(tmp_path, True, 0), by_epochs, lambda cfg: cfg.train_dataloader.update(batch_size=size))
    assert (runner.epoch, runner.iter) == (3, 6 + left)
    told = f'an iteration took 2 samples in each of 1 processes, and takes {size} in each of 1'
    assert (told in read_log(runner)) == (size != 2)


@pytest.mark.parametrize(('size', 'first_place'), [(1, 12), (2, 12), (5, 10)])
def test_batches_of_another_size_go_on_where_the_data_stood(by_iterations, tmp_path, size, first_place):
    cfg = training(tmp_path, False, 0)
    cfg.train_dataloader.batch_size = size
    cfg.train_cfg.max_iters = 8
    places = []
    original = torch.utils.data.DataLoader.__iter__

    def spy(self):
        places.append(getattr(self.batch_sampler.sampler, '_skip', None))
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.utils.data.DataLoader, '__iter__', spy)
        assert run(cfg, resume=by_iterations).iter == 8
    assert places[0] == first_place


def test_a_second_resume_finds_the_place_of_batches_of_several_sizes(by_iterations, tmp_path):
    cfg = training(tmp_path / 'first', False, 0, dict(type='mmdas.InterruptHook', after=8, by='SIGTERM'))
    cfg.train_dataloader.batch_size = 4  # after 6 batches of 2 come 2 of 4
    with pytest.raises(RunStopped):
        run(cfg, resume=by_iterations)
    content = torch.load(tmp_path / 'first' / 'iter_8.pth', weights_only=True)
    assert content[KEY]['position'] * content[KEY]['batch_size'] == 6 * 2 + 2 * 4


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (lambda cfg: cfg.train_cfg.update(max_epochs=4), r'train_cfg.max_epochs was 3 and is 4. The schedulers go on'),
        (lambda cfg: cfg.optim_wrapper.optimizer.update(lr=0.5), r'what the checkpoint holds: lr 0.05 \(now 0.5\)'),
        (
            lambda cfg: cfg.train_dataloader.dataset.update(count=5),
            'had 7 samples and has 5: their order is drawn anew',
        ),
        (
            lambda cfg: cfg.update(param_scheduler=[dict(type='PolyLR', end=3, by_epoch=True)]),
            r"param_scheduler was \[\] and is \['PolyLR'\]",
        ),
    ],
)
def test_what_a_training_can_go_on_with_is_told(by_epochs, tmp_path, change, told):
    runner = resumed(training(tmp_path, True, 0), by_epochs, change)
    assert runner.epoch == runner.max_epochs
    assert re.search(f'resumed under other settings: .*{told}', read_log(runner))


@pytest.mark.parametrize(
    ('after', 'told'),
    [
        ([dict(type='mmdas.SegCutMix', probability=0.9)], r'SegCutMix\(probability=0.9\): it is no longer'),
        ([dict(type='mmdas.KeepCutMix', saliency=dict(type='low'))], r"are KeepCutMix\(saliency={'type': 'low'}\)"),
        ([], 'are none'),
        ([dict(type='mmdas.SegCutMix')], None),
    ],
)
def test_other_steps_on_batches_than_before_are_told(tmp_path, after, told):
    def augmented(name: str, steps: list[dict], *hooks: dict) -> Config:
        cfg = training(tmp_path / name, False, 0, *hooks)
        cfg.train_cfg.max_iters = 3
        cfg.model.data_preprocessor.augments = steps
        return cfg

    checkpoint = stopped(augmented('before', [dict(type='mmdas.SegCutMix')]), 2)
    log = read_log(run(augmented('after', after), resume=checkpoint))
    was = r'augments of the batches were SegCutMix\(\), and '
    if told is None:
        assert 'augments of the batches were' not in log
    else:
        assert re.search(f'resumed under other settings: {was}.*{told}', log)


def test_a_training_that_is_to_be_shorter_than_it_was_says_that_nothing_is_left(by_iterations, tmp_path):
    runner = resumed(training(tmp_path, False, 0), by_iterations, lambda cfg: cfg.train_cfg.update(max_iters=5))
    assert runner.iter == 6
    assert 'the checkpoint is beyond, nothing is left to do' in read_log(runner)


def test_the_same_settings_are_no_word(by_epochs, tmp_path):
    log = read_log(resumed(training(tmp_path, True, 0), by_epochs))
    assert 'settings: ' not in log.partition('resumed epoch')[0].rpartition('Load checkpoint')[2]
    assert 'resumed under other settings' not in log


def test_another_optimiser_is_refused_with_both_names(by_epochs, tmp_path):
    cfg = training(tmp_path, True, 0)
    cfg.optim_wrapper.optimizer = dict(type='Adam', lr=0.01)
    with pytest.raises(DifferenceError, match='optim_wrapper.optimizer was SGD and is Adam: .* without --resume'):
        run(cfg, resume=by_epochs)


def test_another_unit_is_refused(by_epochs, tmp_path):
    cfg = training(tmp_path, True, 0)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=20, val_interval=100)
    with pytest.raises(DifferenceError, match='counted in other units, and now in iterations'):
        run(cfg, resume=by_epochs)


def test_weights_alone_are_taken_under_any_settings(by_epochs, tmp_path):
    cfg = training(tmp_path, True, 0, load_from=str(by_epochs))
    cfg.optim_wrapper.optimizer = dict(type='Adam', lr=0.01)
    assert run(cfg).epoch == 3


# a search


def with_cell(**options) -> Change:
    return lambda cfg: cfg.update(model=seg_model(cell_config(**options)))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (with_cell(space=['identity', 'scale', 'noise']), "operations of the cell: .*'rotate'.*'scale'.* now"),
        (with_cell(num_nodes=3), 'num_nodes of the cell: 2 in the checkpoint, 3 now'),
        (
            lambda cfg: cfg.train_cfg.update(warmup_iters=3),
            'warmup was 2 and is 3; its 4 iterations were 2 weights, 2 po',
        ),
        (
            lambda cfg: cfg.train_cfg.update(max_iters=3),
            'length was 5 and is 3; its 4 iterations .* would be .* selection',
        ),
        (lambda cfg: cfg.train_dataloader.dataset.update(count=6), 'had 8 samples and has 6, so that the two parts'),
        (
            lambda cfg: setattr(cfg.optim_wrapper.weights, 'optimizer', dict(type='AdamW', lr=0.1)),
            'optim_wrapper.weights.optimizer was SGD and is AdamW',
        ),
    ],
)
@pytest.mark.parametrize('accept', [False, True])
def test_what_a_search_cannot_go_on_with_is_refused_with_both(search, tmp_path, change, message, accept):
    cfg = search_of_iterations(tmp_path)
    change(cfg)
    cfg.model.data_preprocessor.accept_difference = accept
    with pytest.raises(DifferenceError, match=message):
        run(cfg, resume=search)


def test_a_search_that_has_decided_does_not_get_longer(selecting, tmp_path):
    cfg = search_of_iterations(tmp_path)
    cfg.train_cfg.max_iters = 8
    with pytest.raises(
        DifferenceError, match='length was 5 and is 8; its 6 iterations were 2 weights, 3 policy, 1 sel'
    ):
        run(cfg, resume=selecting)


@pytest.mark.slow
def test_a_search_that_has_not_decided_gets_longer_with_a_word(search, tmp_path):
    runner = resumed(search_of_iterations(tmp_path), search, lambda cfg: cfg.train_cfg.update(max_iters=6))
    assert runner.iter == runner.max_iters
    assert 'the rest of the search has another schedule: length was 5 and is 6' in read_log(runner)


def test_another_batch_size_moves_the_phases_of_a_search_in_epochs(search_of_epochs, tmp_path):
    cfg = epoch_search(tmp_path, train_dataloader=loader('PackInputs', batch_size=3, dataset=dict(count=6)))
    with pytest.raises(DifferenceError, match='were 3 weights, 1 policy, and would be 2 weights, 2 policy'):
        run(cfg, resume=search_of_epochs)


def test_a_training_does_not_resume_a_search(search, tmp_path):
    cfg = training(tmp_path, False, 0)
    cfg.model = seg_model()
    with pytest.raises(DifferenceError, match='the checkpoint is of a search, and this is a training'):
        run(cfg, resume=search)


# the record


def test_the_config_of_a_checkpoint_is_not_run(by_epochs, tmp_path):
    content = torch.load(by_epochs, weights_only=True)
    content['meta'].update(cfg='raise SystemExit("run")', config='raise SystemExit("run")')
    torch.save(content, tmp_path / 'epoch_1_iter_6.pth')
    assert resumed(training(tmp_path, True, 0), tmp_path / 'epoch_1_iter_6.pth').epoch == 3


def test_a_checkpoint_of_an_earlier_release_is_resumed_with_a_word(by_epochs, tmp_path):
    content = torch.load(by_epochs, weights_only=True)
    del content[KEY]
    torch.save(content, tmp_path / 'epoch_1_iter_6.pth')
    runner = resumed(training(tmp_path, True, 0), tmp_path / 'epoch_1_iter_6.pth')
    assert (runner.epoch, runner.iter) == (3, 12)
    assert 'does not say under which settings it was made' in read_log(runner)


def test_other_releases_than_before_are_told(by_epochs, tmp_path, monkeypatch):
    monkeypatch.setitem(RELEASES, 'cv2', '4.13.0')
    runner = resumed(training(tmp_path, True, 0), by_epochs)
    (told,) = re.findall(r'resumed under other settings: (it ran with .*)', read_log(runner))
    assert told == f'it ran with cv2 {cv2.__version__} (now 4.13.0): numbers may differ from those it would have had'


def test_another_number_of_processes_is_told():
    record = dict(processes=2, batch_size=4, samples=8, max_iters=5, optimizers={}, options={}, schedulers=[])
    (found,) = compare_runs(record, {**record, 'processes': 1, 'batch_size': 8}, 3)
    assert found.level == 'warning'
    assert '4 samples in each of 2 processes, and takes 8 in each of 1' in found.text


def test_settings_that_a_record_does_not_know_are_not_compared():
    record = dict(
        processes=2, batch_size=4, samples=8, max_iters=5, optimizers={'': 'SGD'}, options={'lr': 1}, schedulers=[]
    )
    assert compare_runs({'max_iters': 5}, record, 3) == []


@pytest.mark.parametrize(('iterations', 'expected'), [(0, []), (1, [['a', 1]]), (3, [['a', 2], ['b', 1]])])
def test_the_first_phases_end_with_their_iterations(iterations, expected):
    assert first([['a', 2], ['b', 5]], iterations) == expected


def deeper(cfg: Config) -> None:
    cfg.model.backbone.backbone.update(depth=34)


def narrower(cfg: Config) -> None:
    cfg.model.decode_head.head.update(channels=2)


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (deeper, r'backbone\.layer1\.2\.conv1\.weight of the model is not in it, and \d+ more'),
        (narrower, r'its decode_head\.\S+ is \(.*\), that of the model \('),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(by_iterations, tmp_path, change, told):
    cfg = training(tmp_path, False, 0)
    change(cfg)
    with pytest.raises(DifferenceError, match=f'cannot resume from .*, a checkpoint of another model: {told}'):
        run(cfg, by_iterations)
