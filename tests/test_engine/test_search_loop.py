import json
import re
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from mmpretrain.models.heads import LinearClsHead
from toy_search import (
    NUM_FRAMES,
    SIZE,
    cell_config,
    cls_model,
    differences,
    epoch_search,
    final_state,
    iter_search,
    loader,
    optimizers,
    prepare,
    read_log,
    read_policy,
    run,
    seg_model,
)

from mmdas.apis import device as device_api
from mmdas.apis import enable_amp
from mmdas.engine.hooks.random_state_hook import random_state
from mmdas.engine.runner.search_loop import policy_part
from mmdas.engine.runner.search_schedule import PHASES
from mmdas.search.das import Policy, PolicyClip

EDGES = [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]


@HOOKS.register_module()
class StopAt(Hook):
    """Ends a run early, as MMEngine's EarlyStoppingHook does."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        runner.train_loop.stop_training = runner.iter + 1 == self.iteration


@MODELS.register_module()
class DrawingHead(LinearClsHead):
    """A head whose loss depends on random numbers, as those have that sample points."""

    def loss(self, feats: tuple, data_samples: list, **kwargs) -> dict:
        losses = super().loss(feats, data_samples, **kwargs)
        return {**losses, 'loss': losses['loss'] * torch.rand(())}


@pytest.fixture(scope='module')
def iteration_run(tmp_path_factory) -> Runner:
    return run(iter_search(tmp_path_factory.mktemp('iterations')), pictures=True)


@pytest.fixture(scope='module')
def epoch_run(tmp_path_factory) -> Runner:
    return run(epoch_search(tmp_path_factory.mktemp('epochs')), pictures=True)


@pytest.fixture(params=['iteration_run', 'epoch_run'])
def finished(request) -> Runner:
    return request.getfixturevalue(request.param)


def scalars(runner: Runner) -> list[dict]:
    """What the visualizer's backend has written, a dict for every call."""
    lines = Path(runner.log_dir, 'vis_data/scalars.json').read_text().splitlines()
    return [json.loads(line) for line in lines]


# whole searches


@pytest.mark.slow
def test_a_search_goes_through_all_phases_in_order(finished):
    phases = re.findall(r'Search phase: (\w+)', read_log(finished))
    # no part of this warm-up is on images; tuning alternates with the decisions and is not announced
    assert tuple(phases) == PHASES[1:4]
    assert finished.iter == finished.max_iters


def test_a_search_ends_with_a_policy_of_two_edges_a_node(finished):
    policy = Policy.load(Path(finished.work_dir, 'policy.json'))
    assert policy.num_frames == NUM_FRAMES
    assert sorted(edge.target for edge in policy.edges) == [2, 2, 3, 3]
    assert {(edge.source, edge.target) for edge in policy.edges} <= set(EDGES)


def test_the_policy_is_what_the_cell_has_decided(finished):
    cell = finished.model.data_preprocessor.cell
    saved = Policy.load(Path(finished.work_dir, 'policy.json'))
    assert saved.edges == cell.to_policy().edges
    assert [edge.operation for edge in saved.edges] == [
        cell.operations[chosen].name for chosen, kept in zip(cell.chosen, cell.kept, strict=True) if kept
    ]


def test_the_policy_file_comes_with_a_picture(finished):
    assert Path(finished.work_dir, 'policy.png').read_bytes().startswith(b'\x89PNG')


def test_the_curves_of_the_mixtures_are_drawn_beside_it_and_shown_to_the_visualizer(finished):
    folder = Path(finished.work_dir)
    for ending in ('', '_mixtures', '_course'):
        picture = cv2.imread(str(folder / f'policy{ending}.png'))
        (shown,) = folder.glob(f'*/vis_data/vis_image/policy{ending}_{finished.max_iters}.png')
        assert (cv2.imread(str(shown)) == picture).all()


def test_the_origin_names_the_search_and_what_it_cost(finished):
    origin = Policy.load(Path(finished.work_dir, 'policy.json')).origin
    assert origin['selection'] == 'PerturbationSelection'
    assert origin['data']['type'] == 'ToyImages'
    assert (origin['iterations'], origin['seed']) == (finished.max_iters, 0)
    assert origin['search_cost']['cpu_seconds'] > 0
    assert origin['search_cost']['wall_seconds'] > 0
    assert f'wall-seconds {origin["search_cost"]["wall_seconds"]:.0f}' in read_log(finished)


def test_the_mixtures_of_all_edges_reach_the_visualizer(finished):
    curves = [line for line in scalars(finished) if 'policy/mean_entropy' in line]
    assert [line['step'] for line in curves] == list(range(1, finished.max_iters + 1))  # as MMEngine counts
    for source, target in EDGES:
        name = f'policy/edge_{source}_{target}'
        assert all(line[f'{name}/entropy'] <= 1.1 for line in curves)  # ln 3
        sums = [sum(line[f'{name}/{op}'] for op in ('identity', 'rotate', 'noise')) for line in curves]
        assert sums == pytest.approx([1.0] * len(curves))


def test_the_log_estimates_the_time_left_until_nothing_is_left(finished):
    assert len(re.findall(r'eta: \d+:\d\d:\d\d', read_log(finished))) == finished.max_iters
    assert finished.message_hub.get_info('eta') == 0


def test_the_log_tells_of_every_decision(finished):
    decisions = re.findall(r'decision (\d+) of 6 is made', read_log(finished))
    assert decisions == ['1', '2', '3', '4', '5', '6']


def test_the_batches_of_every_epoch_are_numbered_from_its_start(epoch_run):
    numbers = re.findall(r'Epoch\(train\) +\[ *(\d+)\]\[ *(\d+)/3\]', read_log(epoch_run))
    searching = [(str(epoch), str(batch)) for epoch in (1, 2, 3) for batch in (1, 2, 3)]
    assert numbers[: len(searching) + 1] == [*searching, ('4', '3')]  # a decision ends an epoch


@pytest.mark.slow
def test_the_same_seed_gives_the_same_search_twice(iteration_run, tmp_path):
    again = run(iter_search(tmp_path))
    assert differences(final_state(iteration_run), final_state(again)) == []


@pytest.mark.slow
def test_another_seed_gives_another_search(epoch_run, tmp_path):
    other = run(epoch_search(tmp_path, randomness=dict(seed=1)))
    assert not torch.equal(epoch_run.model.data_preprocessor.cell.logits, other.model.data_preprocessor.cell.logits)


@pytest.mark.slow
def test_warm_up_leaves_the_policy_alone(tmp_path):
    config = iter_search(
        tmp_path, train_cfg=dict(max_iters=3, warmup_iters=3, selection=dict(type='mmdas.ArgmaxSelection'))
    )
    start = prepare(config).model.data_preprocessor.cell.logits.detach().clone()
    assert torch.equal(run(config).model.data_preprocessor.cell.logits, start)


@pytest.mark.slow
def test_validation_comes_at_its_interval_and_at_the_end(tmp_path):
    validation = dict(
        val_cfg={},
        val_dataloader=loader('PackInputs', shuffle=False, dataset=dict(count=2)),
        val_evaluator=dict(type='Accuracy', topk=(1,)),
    )
    runner = run(epoch_search(tmp_path, train_cfg=dict(val_begin=5, val_interval=4), **validation))
    assert re.findall(r'Epoch\(val\) +\[(\d+)\]\[1/1\] .*accuracy', read_log(runner)) == ['8', '12', '15']


def test_a_search_that_stops_early_writes_no_policy_and_says_so(tmp_path):
    config = iter_search(tmp_path)
    config.custom_hooks.append(dict(type='StopAt', iteration=4))
    runner = run(config)
    assert 'The search stopped at iteration 4 of 17: no policy' in read_log(runner)
    assert not Path(runner.work_dir, 'policy.json').exists()


@pytest.mark.parametrize('update_buffers', [False, True])
@pytest.mark.slow
def test_averaged_weights_go_along_with_a_search_and_its_resumption(tmp_path, update_buffers):
    def config(name: str) -> Config:
        config = epoch_search(tmp_path / name)
        config.custom_hooks.append(dict(type='EMAHook', momentum=0.1, update_buffers=update_buffers))
        return config

    whole = run(config('whole'))
    resumed = run(config('resumed'), resume=tmp_path / 'whole/epoch_4.pth')
    assert differences(final_state(whole), final_state(resumed)) == []
    averages = [
        torch.load(tmp_path / f'{name}/epoch_15.pth', weights_only=False)['state_dict'] for name in ('whole', 'resumed')
    ]
    assert differences(*averages) == []
    assert not torch.equal(averages[0]['head.fc.weight'], whole.model.head.fc.weight)


def test_mixed_precision_without_a_gpu_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(device_api, 'get_device', lambda: 'cpu')
    with pytest.raises(RuntimeError, match='--amp needs a GPU'):
        enable_amp(iter_search(tmp_path))


@pytest.mark.parametrize(
    ('train_cfg', 'message'),
    [
        (dict(criterion='iou'), r"train_cfg.criterion must be one of \('accuracy', 'loss'\), got 'iou'"),
        (dict(warmup_iters=6), 'warm-up of 6 in a search of 5: it must lie within it'),
        (dict(selection=None), 'mixtures of a DASCell end in a policy by a selection; set train_cfg.selection'),
        (
            dict(policy_loader=loader('PackSegInputs', dataset=dict(count=1), drop_last=True)),
            '1 samples has no batch of 2',
        ),
    ],
)
def test_a_search_that_cannot_run_is_refused(tmp_path, train_cfg, message):
    config = iter_search(tmp_path, policy_loader=train_cfg.pop('policy_loader', None), train_cfg=train_cfg)
    with pytest.raises(ValueError, match=message):
        run(config)


@pytest.mark.parametrize('edges', [1, 2])
@pytest.mark.slow
def test_a_search_with_aligned_frames_ends_with_a_chain_that_a_training_takes(tmp_path, edges):
    model = seg_model()
    model['decode_head']['pooling'] = 'aligned'
    selection = dict(type='mmdas.ArgmaxSelection', edges_per_node=edges)
    config = iter_search(tmp_path, model=model, train_cfg=dict(selection=selection))
    if edges == 2:
        with pytest.raises(ValueError, match='keeps 2 edges a node.*edges_per_node=1'):
            run(config)
        return
    policy = read_policy(run(config))
    assert policy['reference_size'] == [SIZE, SIZE]
    PolicyClip(Policy.from_dict(policy)).check_alignable()


def test_the_policy_loader_follows_from_the_weights_loader():
    whole = dict(type='mmdas.HoldoutDataset', part='weights', ratio=0.25, seed=3, dataset=dict(type='ToyImages'))
    weights = dict(batch_size=2, sampler=dict(type='InfiniteSampler'), dataset=whole)
    assert policy_part(weights) == {**weights, 'dataset': {**whole, 'part': 'policy'}}
    assert weights['dataset']['part'] == 'weights'


def test_the_policy_loader_is_found_within_a_wrapper():
    whole = dict(type='mmdas.HoldoutDataset', part='weights', dataset=dict(type='ToyImages'))
    policy = policy_part(dict(batch_size=2, dataset=dict(type='RepeatDataset', times=2, dataset=whole)))
    assert policy['dataset']['dataset'] == {**whole, 'part': 'policy'}


def test_a_search_that_holds_nothing_out_is_refused():
    with pytest.raises(ValueError, match='a search holds data out: wrap the training set'):
        policy_part(dict(batch_size=2, dataset=dict(type='ToyImages')))


@pytest.mark.parametrize(
    ('change', 'message'), [(dict(num_frames=1), 'a clip of one frame'), (dict(cell=None), 'with cell=dict')]
)
def test_a_model_without_anything_to_search_is_refused(tmp_path, change, message):
    model = cls_model()
    model['data_preprocessor'].update(change)
    if 'num_frames' in change:
        model['backbone'].update(change)
        model['head'].update(change)
    with pytest.raises(ValueError, match=message):
        run(epoch_search(tmp_path, model=model))


# one step


def parameters_of(runner: Runner) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in runner.model.named_parameters()}


def changed(runner: Runner, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, parameter in runner.model.named_parameters() if not torch.equal(parameter, before[name])}


def step(runner: Runner, name: str) -> None:
    loop = runner.train_loop
    loop.step.update(name, next(loop.policy_batches if name == 'policy' else loop.weights_batches))


@pytest.mark.parametrize('weight_decay', [0, 0.1])
@pytest.mark.parametrize('strength', ['fixed', 'learned'])
def test_each_step_changes_its_own_parameters_alone(tmp_path, strength, weight_decay):
    sgd = dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=weight_decay)
    model = seg_model(cell_config(strength=strength, num_nodes=1))
    runner = prepare(iter_search(tmp_path, model=model, optim_wrapper=optimizers(optimizer=sgd)))
    cell = {name for name in parameters_of(runner) if 'cell' in name}
    for name in ('weights', 'policy', 'weights', 'policy'):  # the second time with momentum
        before = parameters_of(runner)
        step(runner, name)
        if name == 'policy':
            assert changed(runner, before) == cell
        else:
            assert len(changed(runner, before)) > 10
            assert not changed(runner, before) & cell
        assert all(parameter.grad is None for parameter in runner.model.parameters())


def test_steps_restore_which_parameters_take_gradients_even_after_an_error(tmp_path):
    runner = prepare(iter_search(tmp_path))
    runner.model.backbone.conv1.weight.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in runner.model.parameters()]
    for name in ('weights', 'policy'):
        step(runner, name)
        with pytest.raises(KeyError):
            runner.train_loop.step.update(name, {'no': 'inputs'})
        assert [parameter.requires_grad for parameter in runner.model.parameters()] == flags


# a trial of the selection


def trial_runner(config: Config) -> tuple[Runner, list[dict]]:
    runner = prepare(config)
    return runner, [next(runner.train_loop.policy_batches) for _ in range(2)]


def drawing_search(work_dir: Path) -> Config:
    model = cls_model()
    model['head']['head']['type'] = 'mmengine.DrawingHead'
    return epoch_search(work_dir, model=model)


def mixing_search(work_dir: Path) -> Config:
    model = cls_model(batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)))
    model['head']['head'].update(cal_acc=False, loss=dict(type='CrossEntropyLoss', use_soft=True))
    policy_loader = loader('PackInputs', batch_size=4, dataset=dict(seed=1))
    return epoch_search(work_dir, policy_loader, model=model)


def padding_search(work_dir: Path) -> Config:
    """Images and label maps are padded anew in every trial."""
    model = seg_model()
    model['data_preprocessor']['size'] = (24, 32)
    return iter_search(work_dir, model=model)


@pytest.mark.parametrize('search', [iter_search, epoch_search, drawing_search, mixing_search, padding_search])
def test_a_trial_changes_nothing_and_gives_the_same_score_again(tmp_path, search):
    runner, batches = trial_runner(search(tmp_path))
    modes = [module.training for module in runner.model.modules()]
    augments = runner.model.data_preprocessor.batch_augments
    state, random = {k: v.clone() for k, v in runner.model.state_dict().items()}, random_state()
    score = runner.train_loop.trials.score(batches)
    assert runner.train_loop.trials.score(batches) == score
    assert differences(state, dict(runner.model.state_dict())) == []
    assert differences(random, random_state()) == []
    assert [module.training for module in runner.model.modules()] == modes
    assert runner.model.data_preprocessor.batch_augments is augments


def test_a_trial_of_diverged_weights_is_an_error(tmp_path):
    runner, batches = trial_runner(iter_search(tmp_path))
    with torch.no_grad():
        next(runner.model.parameters()).fill_(float('nan'))
    with pytest.raises(FloatingPointError, match='the weights have diverged; lower the learning rate'):
        runner.train_loop.trials.score(batches)


def one_channel_search(work_dir: Path, **options) -> Config:
    model = seg_model()
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
    model['decode_head']['head'].update(out_channels=1, loss_decode=loss)
    return iter_search(work_dir, model=model, train_cfg=options)


@pytest.mark.slow
def test_accuracy_of_one_channel_is_refused_as_criterion(tmp_path):
    with pytest.raises(ValueError, match=r"out_channels is 1: .* set train_cfg\.criterion='loss'"):
        prepare(one_channel_search(tmp_path, criterion='accuracy'))


def test_trial_on_a_batch_that_is_ignored_wholly_goes_on(tmp_path):
    runner, batches = trial_runner(one_channel_search(tmp_path, criterion='loss'))
    expected = runner.train_loop.trials.score(batches[:1]).negative_loss
    for sample in batches[1]['data_samples']:
        sample.gt_sem_seg.data.fill_(255)
    assert runner.train_loop.trials.score(batches).negative_loss == pytest.approx(expected / 2)


def test_images_are_not_mixed_in_a_trial(tmp_path):
    runner, batches = trial_runner(mixing_search(tmp_path))
    score = runner.train_loop.trials.score(batches)
    runner.model.data_preprocessor.batch_augments = None
    assert runner.train_loop.trials.score(batches) == score


def test_a_trial_of_other_batches_gives_another_score(tmp_path):
    runner, batches = trial_runner(epoch_search(tmp_path))
    assert runner.train_loop.trials.score(batches[:1]) != runner.train_loop.trials.score(batches[1:])


def test_the_score_is_the_accuracy_and_the_loss_of_the_evaluated_model(tmp_path):
    runner, batches = trial_runner(epoch_search(tmp_path))
    score = runner.train_loop.trials.score(batches)
    runner.model.eval()
    samples = [sample for batch in batches for sample in runner.model.val_step(batch)]
    right = [sample.pred_label.item() == sample.gt_label.item() for sample in samples]
    likelihoods = [sample.pred_score[sample.gt_label.item()].log() for sample in samples]
    assert score.quality == pytest.approx(100 * sum(right) / len(right))
    assert score.negative_loss == pytest.approx(torch.stack(likelihoods).mean().item(), abs=1e-5)


def test_with_the_loss_as_criterion_the_accuracy_does_not_count(tmp_path):
    runner, batches = trial_runner(epoch_search(tmp_path, train_cfg=dict(criterion='loss')))
    score = runner.train_loop.trials.score(batches)
    assert score.quality == 0
    assert score.negative_loss < 0
