"""Trainings in which few frames learn from all of a clip."""

import pytest
import torch
from mmengine.model import MomentumAnnealingEMA
from test_distill_hook import TOOLBOXES, Interrupt, losses_of, newest, save_teacher, toy_model, training
from toy_search import NUM_FRAMES, differences, run

from mmdas.models.distillation import DistillationError, SelfTaught
from mmdas.models.settings import DifferenceError

HOOK = dict(type='mmdas.SelfDistillHook')


def self_taught(work_dir, toolbox, *hooks, taught=HOOK, dropout=(1, 2, NUM_FRAMES), part_after=None, **options):
    model = toy_model(toolbox, 'das', frame_dropout=dropout)
    if part_after is not None:
        model['backbone'].update(part_after=part_after)
        if toolbox == 'mmpretrain':
            model.update(type='mmdas.DASImageClassifier')
    for part in ('backbone', 'decode_head' if toolbox == 'mmseg' else 'head'):
        model[part]['any_frames'] = True
    return training(work_dir, toolbox, None, model=model, hooks=[*([taught] if taught else []), *hooks], **options)


@pytest.mark.parametrize('toolbox', TOOLBOXES)
@pytest.mark.slow
def test_frames_that_part_late_learn_from_each_other_and_resume(tmp_path, toolbox):
    average = dict(type='EMAHook', ema_type=MomentumAnnealingEMA.__name__, update_buffers=True)
    whole = run(self_taught(tmp_path / 'whole', toolbox, average, part_after='layer1', iters=4))
    assert any(losses_of(whole, 'self_distil_loss_kl'))
    with pytest.raises(KeyboardInterrupt):
        stop = dict(type=Interrupt.__name__, iteration=2)
        run(self_taught(tmp_path / 'parts', toolbox, average, stop, part_after='layer1', iters=4))
    checkpoint = tmp_path / 'parts' / 'iter_2.pth'
    resumed = run(self_taught(tmp_path / 'parts', toolbox, average, part_after='layer1', iters=4), checkpoint)
    left, right = (torch.load(newest(runner), weights_only=True) for runner in (whole, resumed))
    for key in ('state_dict', 'ema_state_dict', 'optimizer'):
        assert differences(dict(left[key]), dict(right[key])) == []
    with pytest.raises(DifferenceError, match="part_after is None and was 'layer1'"):
        run(self_taught(tmp_path / 'whole', toolbox, average, iters=6), newest(whole))


@pytest.mark.parametrize('toolbox', TOOLBOXES)
@pytest.mark.slow
def test_a_resumed_training_equals_an_uninterrupted_one_and_leaves_an_ordinary_checkpoint(tmp_path, toolbox):
    average = dict(type='EMAHook', ema_type=MomentumAnnealingEMA.__name__, update_buffers=True)
    whole = run(self_taught(tmp_path / 'whole', toolbox, average, iters=6))
    assert any(losses_of(whole, 'self_distil_loss_kl'))
    assert not isinstance(whole.model, SelfTaught)
    assert whole.model.data_preprocessor.frame_dropout == (1, 2, NUM_FRAMES)
    with pytest.raises(KeyboardInterrupt):
        stop = dict(type=Interrupt.__name__, iteration=4)
        run(self_taught(tmp_path / 'parts', toolbox, average, stop, iters=6))
    resumed = run(self_taught(tmp_path / 'parts', toolbox, average, iters=6), tmp_path / 'parts' / 'iter_4.pth')
    left, right = (torch.load(newest(runner), weights_only=True) for runner in (whole, resumed))
    for key in ('state_dict', 'ema_state_dict', 'optimizer'):
        assert differences(dict(left[key]), dict(right[key])) == []
    plain = run(self_taught(tmp_path / 'plain', toolbox, average, taught=None, iters=2))
    assert set(torch.load(newest(plain), weights_only=True)['state_dict']) == set(left['state_dict'])
    with pytest.raises(DifferenceError, match='its model learned from a teacher, and this run has none'):
        run(self_taught(tmp_path / 'whole', toolbox, average, taught=None, iters=8), newest(whole))


def test_a_training_that_has_no_fewer_frames_or_a_teacher_already_is_refused(tmp_path):
    with pytest.raises(DistillationError, match='is for a model that takes fewer frames than T'):
        run(self_taught(tmp_path / 'all', 'mmpretrain', dropout=(NUM_FRAMES,)))
    with pytest.raises(DistillationError, match='is for a model that takes fewer frames than T'):
        run(training(tmp_path / 'plain', 'mmpretrain', None, hooks=[HOOK]))
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    with pytest.raises(DistillationError, match='has a teacher already'):
        run(self_taught(tmp_path / 'both', 'mmpretrain', dict(type='mmdas.DistillHook', teacher=teacher)))
