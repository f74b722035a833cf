"""A training of another length keeps the course of its learning rate."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from mmdas.apis import hold_out_validation, load_config, set_training_length, training_length

CONFIGS = Path(__file__).parents[2] / 'configs'
SEGMENTATION = CONFIGS / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py'
CLASSIFICATION = CONFIGS / 'cifar10_reduced' / 'resnet18-quarter_cifar10-reduced.py'


def rates(schedulers, steps):
    """The rates of a training's steps, by the schedulers that MMEngine builds."""
    wrapper = OptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0))
    listed = schedulers if isinstance(schedulers, list) else [schedulers]
    built = [PARAM_SCHEDULERS.build({**one, 'optimizer': wrapper}) for one in listed]
    found = []
    for _ in range(steps):
        found.append(wrapper.get_lr()['lr'][0])
        wrapper.optimizer.step()
        for scheduler in built:
            scheduler.step()
    return found


SCHEDULES = {
    'warm-up and cosine': [
        {'type': 'LinearLR', 'start_factor': 0.1, 'begin': 0, 'end': 40, 'by_epoch': False},
        {'type': 'CosineAnnealingLR', 'T_max': 160, 'begin': 40, 'end': 200, 'by_epoch': False},
    ],
    'poly': {'type': 'PolyLR', 'power': 0.9, 'eta_min': 0.0, 'begin': 0, 'end': 200, 'by_epoch': False},
    'steps': [{'type': 'MultiStepLR', 'milestones': [100, 160], 'gamma': 0.1, 'by_epoch': False}],
    'one cycle': [{'type': 'OneCycleLR', 'eta_max': 1.0, 'total_steps': 200, 'by_epoch': False}],
    'exponential': [{'type': 'ExponentialLR', 'gamma': 0.98, 'by_epoch': False}],
    'a step': [{'type': 'StepLR', 'step_size': 40, 'gamma': 0.5, 'by_epoch': False}],
}


@pytest.mark.parametrize('name', SCHEDULES)
@pytest.mark.parametrize('ratio', [4, 0.5])
def test_the_rate_is_the_same_at_the_same_part_of_the_training(name, ratio):
    cfg = Config({'train_cfg': {'max_iters': 200}, 'param_scheduler': SCHEDULES[name]})
    whole = rates(cfg.param_scheduler, 200)
    short = int(200 / ratio)
    set_training_length(cfg, short)
    found = rates(cfg.param_scheduler, short)
    places = range(0, min(short, 200) - 1)
    step = max(ratio, 1)
    for place in places:
        part = place / short
        near = [whole[min(max(int(part * 200 + shift), 0), 199)] for shift in range(-int(2 * step), int(2 * step) + 1)]
        assert min(near) * 0.93 - 1e-9 <= found[place] <= max(near) * 1.07 + 1e-9
    assert cfg.train_cfg == {'max_iters': short, 'val_interval': short}


def test_points_that_were_apart_stay_apart():
    schedule = [
        {'type': 'LinearLR', 'start_factor': 0.1, 'begin': 0, 'end': 2},
        {'type': 'MultiStepLR', 'milestones': [80, 81, 82], 'begin': 2, 'end': 100},
    ]
    cfg = Config({'train_cfg': {'by_epoch': True, 'max_epochs': 100}, 'param_scheduler': schedule})
    set_training_length(cfg, 1)
    assert cfg.param_scheduler[0].end > cfg.param_scheduler[0].begin
    assert cfg.param_scheduler[1].milestones == [1, 2, 3]
    assert training_length(cfg) == ('epochs', 1)


def test_a_training_without_a_length_is_named():
    with pytest.raises(ValueError, match='neither max_iters nor max_epochs'):
        set_training_length(Config({'train_cfg': {}}), 3)
    with pytest.raises(ValueError, match='at least 1 iteration or epoch, got 0'):
        set_training_length(Config({'train_cfg': {'max_iters': 3}}), 0)


@pytest.mark.parametrize(('length', 'interval'), [(20, 20), (120, 50)])
def test_the_checkpoint_of_the_end_is_always_there(length, interval):
    hook = {'type': 'CheckpointHook', 'interval': 50, 'save_best': 'mIoU', 'save_last': False}
    cfg = Config({'train_cfg': {'max_iters': 300}, 'default_hooks': {'checkpoint': hook}})
    set_training_length(cfg, length)
    assert cfg.default_hooks.checkpoint == {'type': 'CheckpointHook', 'interval': interval, 'save_last': True}


@pytest.mark.parametrize('config', [SEGMENTATION, CLASSIFICATION])
def test_the_split_takes_the_pipeline_of_the_test_and_leaves_the_test_alone(config):
    cfg = load_config(str(config))
    test = copy.deepcopy(cfg.test_dataloader)
    train = copy.deepcopy(cfg.train_dataloader.dataset)
    hold_out_validation(cfg, 0.25, seed=3)
    assert cfg.test_dataloader == test
    parts = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert [part.part for part in parts] == ['weights', 'policy']
    assert all((part.ratio, part.seed, part.type) == (0.25, 3, 'mmdas.HoldoutDataset') for part in parts)
    assert parts[0].dataset == train
    assert parts[1].dataset.pipeline == test.dataset.pipeline
    again = copy.deepcopy(cfg)
    hold_out_validation(again, 0.25)
    assert again.train_dataloader == cfg.train_dataloader  # a split that is there stays
    with pytest.raises(ValueError, match='--holdout is 1, expected a part'):
        hold_out_validation(cfg, 1)


@pytest.mark.parametrize(
    ('config', 'wrong', 'right'),
    [
        ('mmpretrain::resnet/resnet18_8xb16_cifar10.py', 'max_iters', 'max_epochs'),
        ('mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py', 'max_epochs', 'max_iters'),
    ],
)
def test_length_in_another_unit_than_the_loops_is_refused_with_the_right_key(config: str, wrong: str, right: str):
    with pytest.raises(ValueError, match=f'train_cfg.{wrong}=5 .* set train_cfg.{right}'):
        load_config(config, cfg_options={f'train_cfg.{wrong}': 5})
    assert load_config(config, cfg_options={f'train_cfg.{right}': 5}).train_cfg[right] == 5
