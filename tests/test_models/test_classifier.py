"""Whole classifiers of MMPretrain with the components of mmdas."""

import copy

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample
from torch import nn

from mmdas.registry import MODELS
from mmdas.search.das import Policy

B, T, K, SIZE = 4, 3, 5, 32
BACKBONE = dict(type='ResNet_CIFAR', depth=18, base_channels=8, stem_channels=8, zero_init_residual=False)
CONVNEXT = dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 32, 64]), drop_path_rate=0.2)
HEAD = dict(type='LinearClsHead', num_classes=K, in_channels=64, topk=(1,))
PREPROCESSOR = dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True, num_classes=K)
MIXING = dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)])
SOURCES = {
    'repeat': {},
    'policy': dict(policy=Policy.random(T, 'paper').to_dict()),
    'cell': dict(cell=dict(type='mmdas.DASCell')),
}

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')


def build_plain(backbone=BACKBONE, head=HEAD, **options):
    neck = None if backbone['type'] == 'ConvNeXt' else dict(type='GlobalAveragePooling')
    config = dict(type='ImageClassifier', backbone=backbone, neck=neck, head=head, data_preprocessor=PREPROCESSOR)
    return initialise(config | options)


def build(num_frames=T, source=None, pooling='mean', backbone=BACKBONE, head=HEAD, **options):
    fusion = dict(type='mmdas.GateShiftFuse')
    return build_plain(
        backbone=dict(type='mmdas.FrameFusionBackbone', backbone=backbone, num_frames=num_frames, fusion=fusion),
        neck=None if backbone['type'] == 'ConvNeXt' else dict(type='GlobalAveragePooling'),
        head=dict(type='mmdas.TemporalPoolingClsHead', head=head, num_frames=num_frames, pooling=pooling),
        data_preprocessor=dict(
            type='mmdas.DASClsDataPreprocessor', num_frames=num_frames, **PREPROCESSOR, **(source or {})
        ),
        **options,
    )


def initialise(config):
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config))
    model.init_weights()
    return model


def make_batch(images=B, size=(SIZE, SIZE)):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(256, (images, 3, *size), generator=generator, dtype=torch.uint8)
    labels = torch.randint(K, (images,), generator=generator).tolist()
    return dict(inputs=inputs, data_samples=[DataSample().set_gt_label(label) for label in labels])


def scores(model, batch):
    model.eval()
    with torch.no_grad():
        return torch.stack([result.pred_score for result in model.test_step(copy.deepcopy(batch))])


def train(model, batch, steps=1, lr=0.05):
    model.train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr, momentum=0.9))
    torch.manual_seed(1)
    return [model.train_step(copy.deepcopy(batch), wrapper)['loss'].item() for _ in range(steps)]


def assert_same_state(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.mark.parametrize('backbone', [BACKBONE, CONVNEXT], ids=lambda config: config['type'])
def test_one_frame_equals_the_plain_model_bit_for_bit(backbone):
    model, plain, batch = build(1, backbone=backbone), build_plain(backbone), make_batch()
    assert_same_state(model.state_dict(), plain.state_dict())  # also drawn alike
    assert train(model, batch, 2) == train(plain, batch, 2)
    assert_same_state(model.state_dict(), plain.state_dict())
    assert torch.equal(scores(model, batch), scores(plain, batch))
    images = torch.randn(B, 3, SIZE, SIZE)
    assert torch.equal(model(images), plain(images))


@pytest.mark.parametrize('size', [(32, 32), (19, 33)])
def test_repeated_frames_start_as_the_plain_model(size):
    model, plain, batch = build(), build_plain(), make_batch(size=size)
    result = model.load_state_dict(plain.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert all('.fusion.' in key for key in result.missing_keys)
    torch.testing.assert_close(scores(model, batch), scores(plain, batch))


@pytest.mark.parametrize('pooling', ['mean', 'reference', 'max', 'attention'])
@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('images', [1, 3])
def test_every_mode_returns_one_result_an_image(source, pooling, images):
    model, batch = build(source=SOURCES[source], pooling=pooling), make_batch(images)
    assert scores(model, batch).shape == (images, K)
    torch.testing.assert_close(scores(model, batch).sum(1), torch.ones(images))
    data = model.data_preprocessor(batch, training=True)
    assert data['inputs'].shape == (images, T * 3, SIZE, SIZE)
    assert model(**data, mode='tensor').shape == (images, K)
    assert model(**data, mode='loss')['loss'].isfinite()


@pytest.mark.parametrize('mixing', [None, MIXING], ids=['labels', 'mixed'])
@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.slow
def test_training_lowers_the_loss(source, mixing):
    model = build(source=SOURCES[source], train_cfg=mixing)
    assert (model.data_preprocessor.batch_augments is not None) == (mixing is not None)
    losses = train(model, make_batch(), 10)
    assert sum(losses[-3:]) < sum(losses[:3])


def test_policy_logits_learn_from_the_loss_of_the_classifier():
    model = build(source=SOURCES['cell'])
    data = model.data_preprocessor(make_batch(), training=True)
    model(**data, mode='loss')['loss'].backward()
    assert model.data_preprocessor.cell.logits.grad.any(dim=1).all()  # every edge


def test_multi_label_head():
    head = dict(type='MultiLabelLinearClsHead', num_classes=K, in_channels=64)
    model, batch = build(source=SOURCES['policy'], head=head), make_batch()
    for sample in batch['data_samples']:
        sample.set_gt_score(torch.randint(2, (K,)).float())
    losses = train(model, batch, 8)
    assert losses[-1] < losses[0]
    assert scores(model, batch).shape == (B, K)


def test_test_time_augmentation_averages_the_scores():
    model, batch = build(source=SOURCES['policy']), make_batch()
    mirrored = dict(batch, inputs=batch['inputs'].flip(-1))
    expected = (scores(model, batch) + scores(model, mirrored)) / 2
    tta = MODELS.build(dict(type='AverageClsScoreTTA', module=model))
    views = {key: [copy.deepcopy(batch[key]), copy.deepcopy(mirrored[key])] for key in batch}
    with torch.no_grad():
        results = tta.test_step(views)
    torch.testing.assert_close(torch.stack([result.pred_score for result in results]), expected)


def test_moving_average_has_its_own_fusion():
    model, batch = build(source=SOURCES['policy']), make_batch()
    average = ExponentialMovingAverage(model)
    before = scores(model, batch)
    for module in model.backbone.fusion.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.constant_(module.bias, 1.0)
    assert not torch.allclose(scores(model, batch), before)
    assert torch.equal(scores(average.module, batch), before)


def test_images_of_a_batch_do_not_leak_into_each_other():
    model, batch = build(source=SOURCES['policy']), make_batch()
    changed = copy.deepcopy(batch)
    changed['inputs'][0] = 255 - changed['inputs'][0]
    before, after = scores(model, batch), scores(model, changed)
    torch.testing.assert_close(after[1:], before[1:])
    assert not torch.allclose(after[0], before[0])
