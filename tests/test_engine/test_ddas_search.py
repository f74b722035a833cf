"""Whole searches by DDAS with real runners: both toolboxes, resumption, two processes."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.runner import Runner
from toy_search import cls_model, differences, epoch_search, final_state, iter_search, loader, run, seg_model
from two_processes import in_two_processes, process_variables

from mmdas.apis import end_processes, set_augment
from mmdas.engine.utils import find_searchable, unwrap
from mmdas.search import load_policy
from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.ddas import DDASSearch

AUGMENTS = [dict(type='mmdas.SearchedAugment', search=dict(type='mmdas.DDASSearch', points=3))]
OPTIMIZERS = dict(
    constructor='mmdas.SearchOptimWrapperConstructor',
    weights=dict(optimizer=dict(type='SGD', lr=0.05)),
    policy=dict(optimizer=dict(type='Adam', lr=0.01, betas=(0.5, 0.999))),
)
STEP = dict(warmup_iters=0, max_iters=6, selection=None, step=dict(type='mmdas.DDASStep'))


def plain(model: dict, norm: dict | None = None) -> dict:
    """The host's model with a preprocessor that searches an augmentation."""
    head = 'decode_head' if 'decode_head' in model else 'head'
    model = {**model, 'backbone': model['backbone']['backbone'], head: model[head]['head']}
    options = {**model['data_preprocessor'], 'num_frames': 1, 'augments': AUGMENTS, 'channel_order': 'bgr'}
    del options['cell']
    if norm is not None:
        model['backbone'] = {**model['backbone'], 'norm_cfg': norm}
    return {**model, 'data_preprocessor': options}


def by_iterations(work_dir: Path, **step) -> Config:
    cfg = iter_search(
        work_dir,
        model=plain(seg_model()),
        train_cfg={**STEP, 'step': {**STEP['step'], **step}},
        optim_wrapper=OPTIMIZERS,
        param_scheduler=dict(weights=[dict(type='PolyLR', end=6, by_epoch=False)], policy=[]),
    )
    cfg.train_dataloader.batch_size = 4
    return cfg


def by_epochs(work_dir: Path) -> Config:
    cfg = epoch_search(
        work_dir,
        model=plain(cls_model()),
        train_cfg=dict(warmup_epochs=1, max_epochs=3, selection=None, step=STEP['step']),
        optim_wrapper=OPTIMIZERS,
    )
    cfg.default_hooks.checkpoint.by_epoch = False
    return cfg


SEARCHES = {'segmentation': by_iterations, 'classification': by_epochs}


@pytest.fixture(scope='module', params=SEARCHES)
def searched(request, tmp_path_factory) -> tuple[str, Runner]:
    return request.param, run(SEARCHES[request.param](tmp_path_factory.mktemp('whole')), pictures=True)


def test_the_search_ends_in_the_policy_that_it_has_learned(searched):
    _, runner = searched
    policy, searchable = load_policy(Path(runner.work_dir, 'policy.json')), find_searchable(runner.model)
    assert isinstance(policy, AugmentPolicy)
    assert len(policy.trajectory) == 3
    assert policy.trajectory[-1].probability == pytest.approx(float(searchable.probability.detach()), abs=1e-7)
    weights = torch.tensor([choice.weight for choice in policy.choices()])
    torch.testing.assert_close(weights, searchable.distribution.detach(), atol=1e-7, rtol=0)
    assert weights.max() > weights.min()  # it has moved
    assert policy.origin['step'] == 'DDASStep'
    assert policy.origin['search_cost']['wall_seconds'] > 0
    assert Path(runner.work_dir, 'policy.png').stat().st_size > 1000


def test_the_probability_learns_at_a_fifth_of_the_rate(searched):
    groups = searched[1].optim_wrapper['policy'].optimizer.param_groups
    assert [(group['params'][0].ndim, group['lr']) for group in groups] == [(1, 0.01), (0, pytest.approx(0.002))]


@pytest.mark.slow
def test_after_a_kill_it_goes_on_to_the_same_end(searched, tmp_path):
    name, whole = searched
    config = SEARCHES[name](tmp_path / 'first')
    config.custom_hooks.append(dict(type='Interrupt', iteration=4))
    with pytest.raises(KeyboardInterrupt):
        run(config)
    resumed = run(SEARCHES[name](tmp_path / 'second'), resume=tmp_path / 'first/iter_4.pth')
    assert differences(final_state(whole), final_state(resumed)) == []


@pytest.mark.slow
def test_copies_may_share_the_batch(tmp_path):
    runner = run(by_iterations(tmp_path, share_batch=True))
    assert isinstance(load_policy(tmp_path / 'policy.json'), AugmentPolicy)
    assert runner.train_loop.schedule.policy_passes == 2


def test_a_selection_is_refused(tmp_path):
    config = by_iterations(tmp_path)
    config.train_cfg.selection = dict(type='mmdas.ArgmaxSelection')
    with pytest.raises(ValueError, match='DDASSearch ends with a distribution .*selection=None'):
        run(config)


@pytest.mark.parametrize('model', [seg_model, cls_model])
def test_a_training_with_frames_takes_the_policy_too(tmp_path, model):
    DDASSearch().to_policy().save(tmp_path / 'policy.json')
    pack = 'PackSegInputs' if model is seg_model else 'PackInputs'
    config = Config(
        dict(
            default_scope='mmseg' if model is seg_model else 'mmpretrain',
            work_dir=str(tmp_path / 'run'),
            experiment_name=f'augmented_{pack}',
            model=model(),
            train_dataloader=loader(pack),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=3),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        )
    )
    config.model.data_preprocessor.cell = None
    set_augment(config, tmp_path / 'policy.json')
    assert config.model.data_preprocessor.num_frames == 3
    runner = run(config)
    assert (Path(runner.work_dir) / 'augmentation.json').read_text() == (tmp_path / 'policy.json').read_text()


def distributed(folder: Path, processes: int) -> Config:
    def part(seed: int) -> dict:
        dataset = dict(seed=seed, count=8, pipeline=[dict(type='PackInputs')])
        return loader('PackInputs', batch_size=4 // processes, dataset=dataset)

    # without operations on whole images' places that the processes would draw signs for one by one
    cfg = epoch_search(
        folder,
        model=plain(cls_model(), norm=dict(type='GN', num_groups=2)),
        train_dataloader=part(0),
        policy_loader=part(1),
        train_cfg=dict(warmup_epochs=0, max_epochs=2, selection=None, step=STEP['step']),
        optim_wrapper=OPTIMIZERS,
        launcher='pytorch' if processes > 1 else 'none',
    )
    return cfg


class Unsigned(DDASSearch):
    """Without random signs, which each image draws: then the draws of two processes are those of one."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.choices = tuple(choice for choice in self.choices if not choice.signed)
        self.logits = torch.nn.Parameter(torch.zeros(len(self.choices)))
        self.trajectory = torch.zeros(self.points, len(self.choices) + 1)


def in_process(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(process_variables(rank, port))
    runner = run(with_unsigned(distributed(folder / 'two', 2)))
    torch.save(unwrap(runner.model).state_dict(), folder / f'state_{get_rank()}.pth')
    del runner
    end_processes()


def with_unsigned(cfg: Config) -> Config:
    from mmdas.registry import AUGMENTS as REGISTRY

    REGISTRY.register_module(module=Unsigned, force=True)
    cfg.model.data_preprocessor.augments = [
        dict(type='mmdas.SearchedAugment', search=dict(type='mmdas.Unsigned', points=3))
    ]
    return cfg


@pytest.mark.slow
def test_two_processes_search_as_one_with_the_same_global_batch(tmp_path):
    in_two_processes(in_process, tmp_path)
    alone = run(with_unsigned(distributed(tmp_path / 'alone', 1))).model.state_dict()
    states = [torch.load(tmp_path / f'state_{rank}.pth', weights_only=False) for rank in (0, 1)]
    assert differences(states[0], states[1]) == []
    assert set(states[0]) == set(alone)
    for name, value in alone.items():
        if 'extra_state' not in name:
            torch.testing.assert_close(
                states[0][name], value, rtol=0, atol=1e-4, msg=lambda text, name=name: f'{name}: {text}'
            )
