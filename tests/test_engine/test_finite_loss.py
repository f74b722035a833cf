"""Runs whose numbers are not finite any more."""

import copy

import pytest
import torch
from mmengine.hooks import Hook
from toy_search import differences, epoch_search, iter_search, run, selection_config
from toy_training import training

from mmdas.engine.checkpoints import newest_checkpoint
from mmdas.engine.finite import NotFiniteError, check_finite
from mmdas.engine.utils import unwrap
from mmdas.registry import HOOKS


@HOOKS.register_module()
class BrokenBatchHook(Hook):
    """Make the images of some iterations NaN, or a weight after one."""

    def __init__(self, at: list[int], what: str = 'images') -> None:
        self.at = at
        self.what = what

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter + 1 in self.at and self.what == 'images':
            inputs = data_batch['inputs']
            data_batch['inputs'] = [one.float() * float('nan') for one in inputs]

    @torch.no_grad()
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 in self.at and self.what == 'weight':
            next(unwrap(runner.model).backbone.parameters()).view(-1)[0] = float('nan')


@HOOKS.register_module()
class StatesHook(Hook):
    """Remember the weights, their statistics and momenta after every iteration."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.states = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        weights = {key: value for key, value in unwrap(runner.model).state_dict().items() if 'tracked' not in key}
        self.states[runner.iter + 1] = copy.deepcopy((weights, runner.optim_wrapper.optimizer.state_dict()['state']))


def broken(folder, at, what='images', by_epoch=False, **options):
    hook = dict(type='mmdas.BrokenBatchHook', at=at, what=what)
    return training(folder, by_epoch, 0, hook, dict(type='mmdas.FiniteLossHook', **options))


@pytest.mark.parametrize('by_epoch', [False, True])
def test_a_training_stops_at_the_iteration_and_its_last_checkpoint_is_good(tmp_path, by_epoch):
    with pytest.raises(NotFiniteError, match='loss.* of iteration 6 is nan'):
        run(broken(tmp_path, [6], by_epoch=by_epoch))
    content = newest_checkpoint(tmp_path)[1]
    assert content['meta']['iter'] == 4
    check_finite(content['state_dict'], '')


def test_a_weight_that_is_not_finite_is_not_saved(tmp_path):
    with pytest.raises(NotFiniteError, match=r'backbone.*not finite in 1 of .* checkpoint is not written'):
        run(broken(tmp_path, [8], 'weight'))
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_4.pth']


def test_a_mask_may_be_infinite(tmp_path):
    @HOOKS.register_module(name='MaskHook', force=True)
    class MaskHook(Hook):
        priority = 'HIGHEST'  # before EMAHook copies the model

        def before_run(self, runner) -> None:
            unwrap(runner.model).register_buffer('mask', torch.tensor([0.0, float('-inf')]))

    cfg = training(tmp_path, False, 0, dict(type='mmdas.MaskHook'))
    run(cfg)
    assert newest_checkpoint(tmp_path)[1]['state_dict']['mask'].isinf().any()


def test_steps_that_are_left_out_leave_the_model_as_it_was(tmp_path):
    cfg = broken(tmp_path, [3, 6, 7], action='skip')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='mmdas.StatesHook')]
    runner = run(cfg)
    states = next(hook for hook in runner.hooks if isinstance(hook, StatesHook)).states
    same = [number for number in range(2, 11) if not differences(states[number - 1], states[number])]
    assert same == [3, 6, 7]
    check_finite(states[10][0], '')


def test_too_many_steps_in_a_row_end_the_run(tmp_path):
    with pytest.raises(NotFiniteError, match='gradients of 3 iterations up to iteration 5'):
        run(broken(tmp_path, [3, 4, 5, 6], action='skip', patience=2))


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match="'stop', 'skip'"):
        HOOKS.build(dict(type='mmdas.FiniteLossHook', action='wait'))


@pytest.mark.parametrize('search', [iter_search, epoch_search])
@pytest.mark.parametrize('selection', [dict(type='mmdas.ArgmaxSelection'), selection_config()])
def test_a_search_that_is_not_finite_leaves_no_policy(tmp_path, search, selection):
    cfg = search(tmp_path, train_cfg=dict(selection=selection))
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='mmdas.BrokenBatchHook', at=[4])]
    with pytest.raises(NotFiniteError):
        run(cfg)
    assert not list(tmp_path.glob('policy*'))


@pytest.mark.parametrize('selection', [dict(type='mmdas.ArgmaxSelection'), selection_config()])
def test_logits_that_are_not_finite_are_not_chosen_from(tmp_path, selection):
    @HOOKS.register_module(name='BrokenLogitsHook', force=True)
    class BrokenLogitsHook(Hook):
        @torch.no_grad()
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
            if runner.iter + 1 == 5:
                runner.train_loop.searchable.logits[0, 0] = float('nan')

    cfg = iter_search(tmp_path, train_cfg=dict(selection=selection))
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='mmdas.BrokenLogitsHook')]
    cfg.default_hooks.checkpoint.interval = 100
    with pytest.raises(NotFiniteError, match='logits'):
        run(cfg)
    assert not list(tmp_path.glob('policy*'))
