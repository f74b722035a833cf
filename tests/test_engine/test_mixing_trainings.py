"""Real trainings of both toolboxes whose batches are mixed."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.structures import DataSample
from toy_search import cls_model, differences, prepare, run
from toy_training import state, training

from mmdas.augment.puzzle import loss_saliency
from mmdas.engine import AugmentHook
from mmdas.engine.checkpoints import newest_checkpoint

each_toolbox = pytest.mark.parametrize('by_epoch', [False, True], ids=['mmseg', 'mmpretrain'])
HIDE = dict(type='mmdas.HideAndSeek', shares=[0.25], fill=[0.1, 0.0, 0.0])


def mixed(work_dir, by_epoch, *steps, hooks=()):
    cfg = training(work_dir, by_epoch, 0, *hooks)
    cfg.model.data_preprocessor.augments = [dict(step) for step in steps]
    return cfg


@each_toolbox
@pytest.mark.slow
def test_resumed_puzzle_mix_equals_one_that_was_not_interrupted(tmp_path, by_epoch):
    steps = HIDE, dict(type='mmdas.PuzzleMix', probability=0.8)
    whole = state(run(mixed(tmp_path / 'whole', by_epoch, *steps)))
    with pytest.raises(ConnectionError):
        run(mixed(tmp_path / 'parts', by_epoch, *steps, hooks=[dict(type='mmdas.InterruptHook', after=6)]))
    checkpoint, _ = newest_checkpoint(tmp_path / 'parts')
    resumed = run(mixed(tmp_path / 'parts', by_epoch, *steps), resume=checkpoint)
    assert differences(state(resumed), whole) == []
    plain = state(run(training(tmp_path / 'plain', by_epoch, 0)))
    assert set(whole['state_dict']) == set(plain['state_dict'])
    assert any(not torch.equal(value, plain['state_dict'][name]) for name, value in whole['state_dict'].items())


@each_toolbox
def test_saliency_of_a_real_model_leaves_gradients_modes_and_averages_alone(tmp_path, by_epoch):
    runner = prepare(mixed(tmp_path, by_epoch, dict(type='mmdas.PuzzleMix')))
    model = runner.model.train()
    AugmentHook().before_train(runner)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = next(iter(runner.train_dataloader))
    data = model.data_preprocessor(batch, True)
    assert differences(dict(model.state_dict()), before) == []
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training for module in model.backbone.modules())
    loss, _ = model.parse_losses(model.loss(data['inputs'], data['data_samples']))
    loss.backward()
    assert torch.isfinite(loss)


def test_blocks_that_save_memory_have_the_same_saliency():
    found, samples = [], [DataSample().set_gt_label(1)] * 2
    for with_cp in (False, True):
        torch.manual_seed(0)
        cfg = cls_model()
        cfg['backbone']['backbone']['with_cp'] = with_cp
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build(cfg).train()
        found.append(loss_saliency(model, torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16), samples))
        kept = [module.with_cp for module in model.backbone.modules() if hasattr(module, 'with_cp')]
        assert with_cp in kept and model.backbone.training
    assert found[0].any() and torch.equal(*found)


@pytest.mark.parametrize('name', ['Mixup', 'CutMix'])
def test_mixed_labels_train_a_classifier(tmp_path, name):
    runner = run(mixed(tmp_path, True, dict(type=f'mmdas.{name}', alpha=1.0)))
    (step,) = runner.model.data_preprocessor.augments.steps
    assert step.num_classes == 2
    assert runner.message_hub.get_scalar('train/loss').current() > 0


def test_head_that_takes_no_scores_is_told_before_the_first_step(tmp_path):
    cfg = mixed(tmp_path, True, dict(type='mmdas.Mixup'))
    cfg.model.head.head.loss = dict(type='SeesawLoss', num_classes=2)
    with pytest.raises(ValueError, match='Mixup gives samples the scores .* SeesawLoss takes no scores'):
        run(cfg)


def test_mixup_of_label_maps_is_refused(tmp_path):
    with pytest.raises(ValueError, match='a pixel has one label; take mmdas.SegCutMix or mmdas.PuzzleMix'):
        run(mixed(tmp_path, False, dict(type='mmdas.Mixup')))
