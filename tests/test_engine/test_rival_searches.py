"""Whole searches by DADA and Faster AutoAugment with real runners: both toolboxes, resumption, what is refused."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_search import cls_model, differences, epoch_search, final_state, iter_search, prepare, run, seg_model

from mmdas.engine.utils import find_searchable
from mmdas.registry import HOOKS
from mmdas.search import load_policy
from mmdas.search.augmentation import AugmentPolicy

STEPS = {
    'DADASearch': dict(type='mmdas.DADAStep'),
    'FasterAASearch': dict(type='mmdas.AdversarialStep', critic=dict(type='mmdas.PerceptronCritic'), task_factor=0.1),
}
OPTIMIZERS = dict(
    constructor='mmdas.SearchOptimWrapperConstructor',
    weights=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9), clip_grad=dict(max_norm=5.0)),
    policy=dict(optimizer=dict(type='Adam', lr=0.01, betas=(0.5, 0.999))),
)


def plain(model: dict, kind: str) -> dict:
    """The host's model with a preprocessor that searches an augmentation."""
    head = 'decode_head' if 'decode_head' in model else 'head'
    augments = [dict(type='mmdas.SearchedAugment', search=dict(type=f'mmdas.{kind}'))]
    options = {**model['data_preprocessor'], 'num_frames': 1, 'augments': augments, 'channel_order': 'bgr'}
    del options['cell']
    return {
        **model,
        'backbone': model['backbone']['backbone'],
        head: model[head]['head'],
        'data_preprocessor': options,
    }


def by_iterations(work_dir: Path, kind: str) -> Config:
    return iter_search(
        work_dir,
        model=plain(seg_model(), kind),
        train_cfg=dict(warmup_iters=0, max_iters=6, selection=None, step=STEPS[kind]),
        optim_wrapper=OPTIMIZERS,
        param_scheduler=dict(weights=[dict(type='PolyLR', end=6, by_epoch=False)], policy=[]),
    )


def by_epochs(work_dir: Path, kind: str) -> Config:
    """One epoch of the weights alone, two of both, each of three iterations."""
    cfg = epoch_search(
        work_dir,
        model=plain(cls_model(), kind),
        train_cfg=dict(warmup_epochs=1, max_epochs=3, selection=None, step=STEPS[kind]),
        optim_wrapper=OPTIMIZERS,
    )
    cfg.default_hooks.checkpoint.by_epoch = False
    return cfg


SEARCHES = {'segmentation': by_iterations, 'classification': by_epochs}
CASES = [(kind, task) for kind in STEPS for task in SEARCHES]


@HOOKS.register_module()
class BrokenImagesHook(Hook):
    """Make the images of the second iteration NaN."""

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == 1:
            data_batch['inputs'] = [one.float() * float('nan') for one in data_batch['inputs']]


@pytest.fixture(scope='module', params=CASES, ids='-'.join)
def searched(request, tmp_path_factory) -> tuple[tuple[str, str], Runner]:
    kind, task = request.param
    return request.param, run(SEARCHES[task](tmp_path_factory.mktemp('whole'), kind), pictures=True)


def test_the_search_ends_in_the_policy_that_it_has_learned(searched):
    (kind, _), runner = searched
    policy, searchable = load_policy(Path(runner.work_dir, 'policy.json')), find_searchable(runner.model)
    assert type(searchable).__name__ == kind
    assert isinstance(policy, AugmentPolicy)
    assert policy.sub_policies == searchable.to_policy().sub_policies
    assert policy.origin['step'] == STEPS[kind]['type'].removeprefix('mmdas.')
    assert policy.origin['search_cost']['wall_seconds'] > 0
    assert Path(runner.work_dir, 'policy.png').stat().st_size > 1000


def test_probabilities_and_magnitudes_learn_at_four_times_the_rate(searched):
    groups = searched[1].optim_wrapper['policy'].optimizer.param_groups
    assert [(len(group['params']), group['lr']) for group in groups] == [(1, 0.01), (2, 0.04)]


def test_policy_and_weights_both_move(searched):
    (kind, task), runner = searched
    fresh = SEARCHES[task](Path(runner.work_dir) / 'fresh', kind)
    fresh.train_cfg.update(dict(max_iters=1, warmup_iters=1) if task == 'segmentation' else dict(max_epochs=1))
    start, end = run(fresh).model.state_dict(), runner.model.state_dict()
    policy = [name for name in end if 'searched_augments' in name and 'extra_state' not in name]
    assert len(policy) == 3
    for name in (*policy, 'backbone.conv1.weight' if task == 'classification' else 'backbone.layer1.0.conv1.weight'):
        assert not torch.equal(start[name], end[name]), name


@pytest.mark.parametrize('iteration', [2, 5])
@pytest.mark.slow
def test_after_a_kill_it_goes_on_to_the_same_end(searched, tmp_path, iteration):
    """By epochs, iteration 2 lies before the first step of the policy, when the critic is not built yet."""
    (kind, task), whole = searched
    config = SEARCHES[task](tmp_path / 'first', kind)
    config.custom_hooks.append(dict(type='Interrupt', iteration=iteration))
    with pytest.raises(KeyboardInterrupt):
        run(config)
    resumed = run(SEARCHES[task](tmp_path / 'second', kind), resume=tmp_path / f'first/iter_{iteration}.pth')
    assert differences(final_state(whole), final_state(resumed)) == []
    states = [torch.load(Path(r.work_dir, 'iter_6.pth'), weights_only=False) for r in (whole, resumed)]
    assert differences(*[step_state(state) for state in states]) == []


def step_state(checkpoint: dict) -> dict:
    """What a checkpoint holds of the step; a critic, or a control variate, with its optimiser."""
    state = checkpoint['search_step']['state']
    assert {'critic', 'optimizer'} <= set(state) or {'control', 'optimizer'} <= set(state)
    return state


def test_the_critic_has_the_channels_of_the_backbone_s_last_maps(searched):
    (kind, _), runner = searched
    if kind == 'FasterAASearch':
        assert runner.train_loop.step.critic.linear.in_features == 8


@pytest.mark.parametrize('task', SEARCHES)
def test_the_pass_that_counts_channels_leaves_nothing_behind(tmp_path, task):
    runner = prepare(SEARCHES[task](tmp_path, 'FasterAASearch'))
    step, model = runner.train_loop.step, runner.model
    batch = next(runner.train_loop.weights_batches)
    before = {name: value.clone() for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    modes, random = [module.training for module in model.modules()], torch.get_rng_state()
    assert step.state_dict() == {'channels': None}
    assert step._channels(batch) == 8
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize('kind', STEPS)
def test_a_selection_is_refused(tmp_path, kind):
    config = by_iterations(tmp_path, kind)
    config.train_cfg.selection = dict(type='mmdas.ArgmaxSelection')
    with pytest.raises(ValueError, match=f'{kind} ends with a distribution .*selection=None'):
        run(config)


@pytest.mark.parametrize('kind', STEPS)
@pytest.mark.slow
def test_a_step_that_is_left_out_leaves_the_critic_or_control_variate_as_it_was(kind: str, tmp_path: Path):
    cfg = by_iterations(tmp_path, kind)
    skip = dict(type='mmdas.FiniteLossHook', action='skip')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='mmdas.BrokenImagesHook'), skip]
    runner = run(cfg)
    state = runner.train_loop.step.state_dict()
    helper = state['control' if kind == 'DADASearch' else 'critic']
    assert all(bool(value.isfinite().all()) for value in helper.values())
    assert Path(tmp_path, 'policy.json').is_file()
