"""Trainings that learn from the average of their own weights."""

import copy

import pytest
import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.model import MomentumAnnealingEMA
from mmengine.registry import HOOKS
from test_distill_hook import TEACHERS, TOOLBOXES, newest, save_teacher, toy_model, training
from toy_search import Interrupt, differences, epoch_search, run

from mmdas.models.distillation import DistillationError, Distilled, kl_divergence, release
from mmdas.models.settings import DifferenceError

AVERAGE = dict(type='EMAHook', ema_type=MomentumAnnealingEMA.__name__, gamma=2, update_buffers=True)
TEACHER = dict(type='mmdas.MeanTeacherHook')


@HOOKS.register_module()
class LateKL(Hook):
    """Computes the distance of student and average before an iteration, by copies of both."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter != 3:
            return
        average = copy.deepcopy(next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module)
        assert isinstance(runner.model, Distilled)
        assert not average.training
        student = copy.deepcopy(runner.model)
        release(student)
        inputs = student.data_preprocessor(data_batch, True)
        with torch.no_grad():
            learned, taught = (model(inputs['inputs'], inputs['data_samples']) for model in (student, average))
        self.expected = kl_divergence(learned, taught, 4.0).item()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.found = float(outputs['distil_loss_kl'])


def taught(work_dir, toolbox, *hooks, taught=TEACHER, **options):
    return training(work_dir, toolbox, None, hooks=[AVERAGE, *([taught] if taught else []), *hooks], **options)


@pytest.mark.parametrize('toolbox', TOOLBOXES)
def test_the_teacher_is_the_average_of_the_weights_so_far(tmp_path, toolbox):
    model = toy_model(toolbox, 'plain')
    if toolbox == 'mmseg':
        model['decode_head']['dropout_ratio'] = 0
    runner = run(taught(tmp_path, toolbox, dict(type=LateKL.__name__), model=model))
    spy = next(hook for hook in runner.hooks if isinstance(hook, LateKL))
    assert spy.found == pytest.approx(spy.expected, rel=1e-3)
    assert spy.expected > 0
    assert not isinstance(runner.model, Distilled)


def test_a_weight_of_zero_leaves_the_training_and_its_average_as_they_are(tmp_path):
    losses = [dict(type='mmdas.KLDistillation', weight=0.0)]
    runs = [
        run(taught(tmp_path / 'taught', 'mmpretrain', taught=dict(**TEACHER, losses=losses))),
        run(taught(tmp_path / 'alone', 'mmpretrain', taught=None)),
    ]
    left, right = (torch.load(newest(runner), weights_only=True) for runner in runs)
    for key in ('state_dict', 'ema_state_dict', 'optimizer'):
        assert differences(dict(left[key]), dict(right[key])) == []
    assert set(left) - set(right) == {'distillation'}


@pytest.mark.parametrize('kind', TEACHERS)
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, kind):
    options = dict(kind=kind, iters=6, taught=dict(**TEACHER, views=2))
    whole = run(taught(tmp_path / 'whole', 'mmpretrain', **options))
    with pytest.raises(KeyboardInterrupt):
        run(taught(tmp_path / 'parts', 'mmpretrain', dict(type=Interrupt.__name__, iteration=4), **options))
    resumed = run(taught(tmp_path / 'parts', 'mmpretrain', **options), tmp_path / 'parts' / 'iter_4.pth')
    left, right = (torch.load(newest(runner), weights_only=True) for runner in (whole, resumed))
    for key in ('state_dict', 'ema_state_dict', 'optimizer'):
        assert differences(dict(left[key]), dict(right[key])) == []
    with pytest.raises(DifferenceError, match='views is 1 and was 2'):
        run(taught(tmp_path / 'parts', 'mmpretrain', kind=kind, iters=8), newest(resumed))


def test_a_run_without_an_average_a_search_and_a_second_teacher_are_refused(tmp_path):
    with pytest.raises(DistillationError, match='this run keeps none; add dict'):
        run(training(tmp_path / 'none', 'mmpretrain', None, hooks=[TEACHER]))
    with pytest.raises(DistillationError, match='a search does not learn from an average'):
        run(epoch_search(tmp_path / 'search', custom_hooks=[AVERAGE, TEACHER]))
    teacher = save_teacher(tmp_path / 'teacher', 'mmpretrain', 'plain')
    with pytest.raises(DistillationError, match='has a teacher already'):
        run(taught(tmp_path / 'both', 'mmpretrain', dict(type='mmdas.DistillHook', teacher=teacher)))
