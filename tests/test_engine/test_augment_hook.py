"""Augments in real searches and trainings, those that need the model's gradient included."""

import pytest
import torch
from toy_search import SIZE, cls_model, epoch_search, iter_search, prepare, run, seg_model

from mmdas.engine import AugmentHook
from mmdas.engine.data_error import DataError
from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import rand_augment


@AUGMENTS.register_module()
class RefuseAll:
    def __call__(self, images, samples):
        raise AssertionError('a trial must see its batches as they are')


@AUGMENTS.register_module()
class CoverFaint:
    """Put zero where the logit of the label hardly depends on a pixel: KeepAugment (Gong et al., 2021) in short."""

    def __init__(self):
        self.model, self.calls = None, []

    def use_model(self, model):
        self.model = model

    def saliency(self, images, samples):
        """Gradient of the labels' logits by the pixels, (B, 1, H, W); parameters and running statistics stay."""
        images = images.detach().requires_grad_()
        mode = self.model.training
        self.model.eval()
        logits = self.model(self.model.data_preprocessor.to_inputs(images), samples, mode='tensor')
        self.model.train(mode)
        if logits.ndim == 4:
            logits = torch.nn.functional.interpolate(logits, images.shape[-2:])
            labels = torch.stack([sample.gt_sem_seg.data for sample in samples])
        else:
            labels = torch.stack([sample.gt_label for sample in samples])
        (gradient,) = torch.autograd.grad(logits.gather(1, labels).sum(), images)
        return gradient.abs().sum(dim=1, keepdim=True)

    def __call__(self, images, samples):
        saliency = self.saliency(images, samples)
        self.calls.append(saliency)
        return images * (saliency >= saliency.flatten(1).median(dim=1).values.view(-1, 1, 1, 1)), samples


def search(work_dir, toolbox, name):
    """A search of two policy iterations after one of weights; then its selection."""
    step = dict(type=f'mmdas.{name}')
    if toolbox == 'mmseg':
        length = dict(max_iters=3, warmup_iters=1)
        return iter_search(work_dir, model=seg_model(augments=[step]), train_cfg=length, param_scheduler=None)
    return epoch_search(work_dir, model=cls_model(augments=[step]))


each_toolbox = pytest.mark.parametrize('toolbox', ['mmseg', 'mmpretrain'])


@each_toolbox
@pytest.mark.slow
def test_step_with_the_models_gradient_takes_part_in_both_steps_of_a_search(toolbox, tmp_path):
    runner = run(search(tmp_path, toolbox, 'CoverFaint'))
    (step,) = runner.model.data_preprocessor.augments.steps
    assert step.model is runner.model
    assert all(saliency.shape[1:] == (1, SIZE, SIZE) and (saliency > 0).any() for saliency in step.calls)
    weights, policy = runner.train_loop.schedule.batches_before(runner.train_loop.max_iters)
    in_trials = len(runner.train_loop.selection.decisions(runner.train_loop.searchable))
    trial_batches = in_trials * runner.train_loop.selection.num_batches
    assert len(step.calls) == weights + policy - trial_batches


@each_toolbox
def test_gradient_of_a_step_leaves_the_models_own_alone(toolbox, tmp_path):
    runner = prepare(search(tmp_path, toolbox, 'CoverFaint'))
    AugmentHook().before_train(runner)
    state = {name: value.clone() for name, value in runner.model.state_dict().items()}
    batch = next(runner.train_loop.weights_batches)
    data = runner.model.data_preprocessor(batch, True)
    assert all(parameter.grad is None for parameter in runner.model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in runner.model.state_dict().items() if 'bn' in name)
    images = data['inputs'].view(len(data['inputs']), -1, 3, SIZE, SIZE)
    covered = (images[:, images.shape[1] // 2] == 0).all(dim=1).flatten(1).float().mean(dim=1)
    assert ((covered > 0.3) & (covered <= 0.5)).all()


@each_toolbox
def test_trial_of_a_selection_takes_no_augments(toolbox, tmp_path):
    runner = prepare(search(tmp_path, toolbox, 'RefuseAll'))
    batches = [next(runner.train_loop.policy_batches)]
    runner.train_loop.trials.score(batches)
    with pytest.raises(AssertionError, match='as they are'):
        runner.model.data_preprocessor(batches[0], True)


@pytest.mark.slow
def test_cut_mix_search_is_that_of_its_seed(tmp_path):
    first, second = (run(search(tmp_path / name, 'mmseg', 'SegCutMix')).model.state_dict() for name in 'ab')
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_run_without_augments_has_no_hook_for_them(tmp_path):
    configs = iter_search(tmp_path / 'none'), search(tmp_path / 'some', 'mmseg', 'SegCutMix')
    found = [any(isinstance(hook, AugmentHook) for hook in prepare(config).hooks) for config in configs]
    assert found == [False, True]


@pytest.mark.slow
def test_a_label_that_counts_where_no_pixel_comes_to_is_refused(tmp_path):
    step = dict(type='mmdas.PolicyAugment', policy=rand_augment().to_dict())
    model = seg_model(augments=[step])
    model['decode_head']['head']['ignore_index'] = 100
    length = dict(max_iters=3, warmup_iters=1)
    cfg = iter_search(tmp_path, model=model, train_cfg=length, param_scheduler=None)
    with pytest.raises(DataError, match=r'augments.0 \(PolicyAugment\) gives the label 255 .*ignore_index is 100; set'):
        run(cfg)
    step['ignore_index'] = 100
    run(iter_search(tmp_path, model=model, train_cfg=length, param_scheduler=None))
