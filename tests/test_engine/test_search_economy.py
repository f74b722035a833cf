"""Searches that step the policy seldom, and that end when what they would decide has settled."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from toy_search import (
    NUM_FRAMES,
    differences,
    epoch_search,
    final_state,
    iter_search,
    optimizers,
    read_log,
    read_policy,
    run,
)

from mmdas.apis.fast_search import set_fast, take_any_frames
from mmdas.engine.hooks.settling_hook import SettlingHook
from mmdas.engine.search_error import SearchError
from mmdas.engine.utils import find_searchable
from mmdas.search.das import DASCell, Policy

# At such a rate no other operation comes to lead: with a patience of two, the policy settles at its third step.
RATE = 1e-7
SELECTION = dict(type='mmdas.ArgmaxSelection', tune=2)
SEARCH = dict(policy_interval=2, patience=2, selection=SELECTION)
ITERATIONS = dict(max_iters=14, warmup_iters=2, image_iters=1, **SEARCH)
EPOCHS = dict(max_epochs=6, warmup_epochs=1, image_epochs=1, **SEARCH)


@HOOKS.register_module()
class PolicySteps(Hook):
    """Notes the iterations that change the logits, and the frames of what the backbone sees in each."""

    def before_train(self, runner: Runner) -> None:
        self.iterations: list[int] = []
        self.frames: list[list[int]] = []
        runner.model.backbone.register_forward_pre_hook(self.note_frames)

    def note_frames(self, module: torch.nn.Module, args: tuple) -> None:
        self.frames[-1].append(args[0].shape[1] // 3)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        self.frames.append([])
        self._before = find_searchable(runner.model).logits.detach().clone()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if not find_searchable(runner.model).logits.equal(self._before):
            self.iterations.append(runner.iter)


def by_epochs(work_dir: Path) -> Config:
    config = epoch_search(work_dir, train_cfg=EPOCHS, optim_wrapper=optimizers(RATE))
    take_any_frames(config)
    return config


def noted(runner: Runner) -> PolicySteps:
    return next(hook for hook in runner.hooks if isinstance(hook, PolicySteps))


def by_iterations(work_dir: Path) -> Config:
    config = iter_search(work_dir, train_cfg=ITERATIONS, optim_wrapper=optimizers(RATE))
    take_any_frames(config)
    config.custom_hooks.append(dict(type='PolicySteps'))
    return config


@pytest.fixture(scope='module')
def settled(tmp_path_factory) -> Runner:
    return run(by_iterations(tmp_path_factory.mktemp('settled')))


@pytest.fixture(scope='module')
def settled_epochs(tmp_path_factory) -> Runner:
    return run(by_epochs(tmp_path_factory.mktemp('epochs')))


def test_the_policy_is_stepped_by_the_interval_until_it_has_settled(settled):
    assert noted(settled).iterations == [3, 5, 7]
    assert 'the policy phase ends after iteration 8' in read_log(settled)


def test_the_image_phase_sees_the_image_and_the_others_see_all_frames(settled):
    all_frames = [NUM_FRAMES]
    both = [all_frames, 2 * all_frames]  # the weights alone; the policy, then the weights
    assert noted(settled).frames == [[1], all_frames, *both, *both, *both, [], all_frames, all_frames]
    assert settled.model.data_preprocessor.used_frames is None


def test_a_settled_search_goes_on_with_its_selection_and_tuning(settled):
    rounds = [(entry.phase, entry.length) for entry in settled.train_loop.schedule.rounds]
    assert rounds == [('image', 1), ('weights', 1), ('policy', 6), ('selection', 1), ('tuning', 2)]
    assert settled.iter == read_policy(settled)['origin']['iterations'] == 11


def test_a_search_by_epochs_ends_the_epoch_in_which_it_settles(settled_epochs):
    phases = [entry.phase for entry in settled_epochs.train_loop.schedule.rounds]
    assert phases == ['image', 'policy', 'policy', 'selection', 'tuning', 'tuning']  # steps at 3, 5 and 7
    assert settled_epochs.epoch == len(phases)


@pytest.mark.parametrize('iteration', [1, 5, 8, 10])  # in the image phase, after a step, settled, tuning
@pytest.mark.slow
def test_a_search_that_settles_goes_on_exactly(settled, tmp_path, iteration):
    resumed = run(by_iterations(tmp_path), resume=Path(settled.work_dir, f'iter_{iteration}.pth'))
    assert differences(final_state(settled), final_state(resumed)) == []
    assert resumed.train_loop.schedule.rounds == settled.train_loop.schedule.rounds


@pytest.mark.parametrize('epoch', [2, 3])
@pytest.mark.slow
def test_a_search_by_epochs_that_settles_goes_on_exactly(settled_epochs, tmp_path, epoch):
    resumed = run(by_epochs(tmp_path), resume=Path(settled_epochs.work_dir, f'epoch_{epoch}.pth'))
    assert differences(final_state(settled_epochs), final_state(resumed)) == []


@pytest.mark.slow
def test_a_search_that_is_between_two_steps_of_its_policy_goes_on_exactly(settled, tmp_path):
    resumed = run(by_iterations(tmp_path), resume=Path(settled.work_dir, 'iter_7.pth'))
    assert differences(final_state(settled), final_state(resumed)) == []


@pytest.mark.slow
def test_the_fast_form_of_a_search_ends_with_a_policy(tmp_path):
    config = iter_search(tmp_path, train_cfg=dict(max_iters=8, warmup_iters=2, selection=SELECTION))
    set_fast(config)
    runner = run(config)
    rounds = [(entry.phase, entry.length) for entry in runner.train_loop.schedule.rounds]
    assert rounds == [('image', 5), ('policy', 2), ('selection', 1), ('tuning', 2)]
    assert Policy.load(tmp_path / 'policy.json').num_frames == NUM_FRAMES


def test_resuming_with_another_interval_within_the_policy_phase_is_refused(settled, tmp_path):
    config = by_iterations(tmp_path)
    config.train_cfg.policy_interval = 3
    with pytest.raises(ValueError, match='policy_interval was 2 and is 3'):
        run(config, resume=Path(settled.work_dir, 'iter_5.pth'))


@pytest.mark.parametrize(
    ('settings', 'text'),
    [
        (dict(policy_interval=0), 'policy_interval must be a whole number of at least 1, got 0'),
        (dict(policy_interval=6), 'policy_interval is 6, which leaves no step of the policy'),
        (dict(image_iters=3), 'image_iters must be a whole number within the warm-up of 2, got 3'),
        (dict(image_iters=1), 'backbone.fusion takes clips of T frames alone; set any_frames=True'),
        (dict(patience=0), 'patience must be a whole number of at least 1 or None, got 0'),
        (dict(policy_intervall=2), 'policy_intervall=2 is no setting of .*; did you mean policy_interval'),
        (dict(image_epochs=1), 'image_epochs=1 is no setting of IterBasedSearchLoop; did you mean image_iters'),
        (dict(length=1), 'length=1 is no setting of IterBasedSearchLoop'),
    ],
)
@pytest.mark.slow
def test_settings_that_leave_nothing_to_do_are_refused(tmp_path, settings, text):
    with pytest.raises(SearchError, match=text):
        run(iter_search(tmp_path, train_cfg=dict(max_iters=5, warmup_iters=2, **settings)))


def test_a_cell_settles_once_its_leading_policy_has_stayed_for_long_enough():
    cell, hook = DASCell(num_frames=2, num_nodes=2), SettlingHook(patience=3)
    kept = sorted(position for positions in cell.strongest_edges(2).values() for position in positions)
    assert [hook.has_settled(cell) for _ in range(3)] == [False, False, False]
    cell.logits.data[kept[0]] = 5.0 * (cell.logits[kept[0]] == cell.logits[kept[0]].min())  # another operation leads
    assert [hook.has_settled(cell) for _ in range(4)] == [False, False, False, True]
