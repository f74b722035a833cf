"""Schedules and hooks that do not fit the length of their training, or wait for epochs in vain, are told."""

import re

import pytest
from mmengine.config import Config

from mmdas.apis import find_slips


def schedule(total: int = 10, by_epoch: bool = False, **steps) -> list:
    unit = 'epochs' if by_epoch else 'iters'
    cfg = dict(train_cfg={'by_epoch': by_epoch, f'max_{unit}': total}, param_scheduler=list(steps.values()))
    return find_slips(Config(dict(cfg, default_hooks=dict(checkpoint=None, logger=None))))


def test_schedule_that_ends_with_the_training_is_right():
    warm = dict(type='LinearLR', begin=0, end=2, by_epoch=False)
    assert schedule(warm=warm, poly=dict(type='PolyLR', begin=2, end=10, by_epoch=False)) == []
    assert schedule(warm=warm) == schedule(step=dict(type='MultiStepLR', milestones=[4, 10], by_epoch=False)) == []
    for end in (float('inf'), 10**9):
        assert schedule(warm=dict(warm, end=end)) == []
    assert schedule(by_epoch=True, cosine=dict(type='CosineAnnealingLR', T_max=10)) == []
    assert schedule(step=dict(type='StepLR', step_size=3, by_epoch=False), warm=warm) == []


@pytest.mark.parametrize(
    ('step', 'text'),
    [
        (dict(type='OneCycleLR', total_steps=20), 'cycle until 20 iters, the training ends at 10: its end never comes'),
        (dict(type='OneCycleLR', total_steps=5), 'cycle until 5 iters, .* then it stops the training by an error'),
        (dict(type='CosineRestartLR', periods=[4]), 'periods until 4 iters, .* after that nothing changes'),
        (dict(type='CosineRestartLR', periods=[4, 8], begin=2), 'until 14 iters, .* the end of the last period never'),
        (dict(type='StepLR', step_size=10), 'first step after 10 iters, the training ends at 10: none comes'),
    ],
)
def test_cycle_restarts_and_steps_that_do_not_fit_are_told(step: dict, text: str):
    (slip,) = schedule(step=dict(step, by_epoch=False))
    assert re.search(text, slip.text), slip.text


def test_cycle_restarts_and_steps_that_fit_are_right():
    assert schedule(step=dict(type='OneCycleLR', total_steps=9, by_epoch=False)) == []  # MMEngine takes one more
    restarts = dict(type='CosineRestartLR', periods=[3, 3], by_epoch=False)
    assert schedule(step=restarts, rest=dict(type='LinearLR', begin=6, end=10, by_epoch=False)) == []
    assert schedule(step=dict(type='OneCycleLR', total_steps=10, by_epoch=False)) == []
    assert schedule(by_epoch=True, step=dict(type='OneCycleLR', total_steps=10, convert_to_iter_based=True)) == []
    assert schedule(step=dict(type='CosineRestartLR', periods=[4, 4], begin=2, by_epoch=False)) == []
    assert schedule(step=dict(type='StepLR', step_size=4, begin=2, end=10, by_epoch=False)) == []


def test_schedule_of_epochs_takes_no_step_in_a_training_by_iterations():
    (slip,) = schedule(poly=dict(type='PolyLR', end=3))
    assert 'after which PolyLR (by_epoch=True, the default) would take a step: it never takes one' in slip.text
    assert schedule(plateau=dict(type='ReduceOnPlateauLR', monitor='acc')) == []  # it waits for validations
    assert schedule(poly=dict(type='PolyLR', end=3, convert_to_iter_based=True)) == []


def test_schedule_of_another_unit_is_not_compared():
    warm, rest = dict(type='LinearLR', end=500, by_epoch=False), dict(type='CosineAnnealingLR', T_max=8, begin=2)
    assert schedule(by_epoch=True, warm=warm, rest=rest) == []


@pytest.mark.parametrize(('end', 'text'), [(7, 'does not change'), (12, 'never comes')])
def test_schedule_that_ends_elsewhere_is_told_once(end: int, text: str):
    (slip,) = schedule(poly=dict(type='PolyLR', end=end, by_epoch=False))
    assert text in slip.text and f'{end} iters' in slip.text and '10' in slip.remedy


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (dict(T_max=200, end=10), 'falls until 200'),
        (dict(T_max=4), 'rises again until 10'),
        (dict(begin=45, end=9, T_max=5), 'MMEngine refuses'),
        (dict(begin=2, end=10, T_max=10), 'falls until 12'),
    ],
)
def test_cosine_that_does_not_fit_is_told(options: dict, text: str):
    (slip,) = schedule(cosine=dict(type='CosineAnnealingLR', by_epoch=False, **options))
    assert text in slip.text and 'T_max' in slip.remedy


def hooks(train_cfg: dict, **hooks) -> list[str]:
    cfg = dict(train_cfg=train_cfg, val_dataloader=dict(batch_size=1), default_hooks=hooks)
    return [slip.place for slip in find_slips(Config(cfg))]


def test_hooks_of_a_training_by_iterations_that_count_epochs_are_told():
    iters, epochs = dict(by_epoch=False, max_iters=10), dict(by_epoch=True, max_epochs=10)
    logger, saves = dict(type='LoggerHook'), dict(type='CheckpointHook', interval=2)
    assert hooks(iters, logger=logger, checkpoint=saves) == ['default_hooks.checkpoint', 'default_hooks.logger']
    assert hooks(iters) == ['default_hooks.checkpoint', 'default_hooks.logger']  # those of the runner
    assert hooks(iters, logger=dict(type='OwnLogger'), checkpoint=None) == []
    counted = dict(logger=dict(logger, log_metric_by_epoch=False), checkpoint=dict(saves, by_epoch=False))
    assert (
        hooks(iters, **counted)
        == hooks(epochs, logger=logger, checkpoint=saves)
        == hooks(iters, logger=None, checkpoint=None)
        == []
    )
    only_last = dict(counted, checkpoint=dict(type='CheckpointHook', interval=-1))
    assert hooks(iters, **only_last) == []


@pytest.mark.parametrize(
    'step',
    [
        dict(type='MultiStepLR', milestones=[2, 3], end=1000),
        dict(type='StepLR', step_size=3, end=1000),
        dict(type='ExponentialLR', gamma=0.9, end=1000),
        dict(type='CosineAnnealingLR', T_max=10, end=12),
    ],
)
def test_an_end_that_only_cuts_a_schedule_off_may_lie_beyond_the_training(step: dict):
    assert schedule(step=dict(step, by_epoch=False)) == []


def test_milestones_count_from_the_begin():
    (slip,) = schedule(step=dict(type='MultiStepLR', begin=6, milestones=[2, 5], by_epoch=False))
    assert 'milestones [5]' in slip.text


def test_remedy_of_a_cosine_behind_a_warm_up_is_what_is_left():
    warm = dict(type='LinearLR', end=2, by_epoch=False)
    (slip,) = schedule(warm=warm, cosine=dict(type='CosineAnnealingLR', begin=2, T_max=12, by_epoch=False))
    assert slip.remedy == 'set T_max=8'
