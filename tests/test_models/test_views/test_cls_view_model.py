"""Classifiers that look at several views of an image."""

import copy

import pytest
import torch
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmdas.registry import MODELS
from mmdas.search.das import Policy
from mmdas.search.test_time import View, ViewPolicy

B, T, K, SIZE = 3, 2, 5, 32
BACKBONE = dict(type='ResNet_CIFAR', depth=18, base_channels=8, stem_channels=8, zero_init_residual=False)
HEAD = dict(type='LinearClsHead', num_classes=K, in_channels=64, topk=(1,))
PIXELS = dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True, num_classes=K)
FLIPS = ViewPolicy((View(), View(flip=True)), (0.7, 0.3))
ALL = ViewPolicy(
    (View(), View('rotate', 8.0), View('translate_x', 0.1, flip=True), View(size=1.25), View('contrast', 0.3)),
    (0.3, 0.2, 0.2, 0.2, 0.1),
)

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')


def classifier(das: bool = False, **options) -> dict:
    model = dict(type='ImageClassifier', backbone=BACKBONE, neck=dict(type='GlobalAveragePooling'), head=HEAD)
    model.update(data_preprocessor=dict(type='ClsDataPreprocessor', **PIXELS))
    if das:
        policy = Policy.random(T, space=['translate_x', 'rotate'], reference_size=(SIZE, SIZE)).to_dict()
        model.update(
            data_preprocessor=dict(type='mmdas.DASClsDataPreprocessor', num_frames=T, policy=policy, **PIXELS),
            backbone=dict(type='mmdas.FrameFusionBackbone', backbone=BACKBONE, num_frames=T),
            head=dict(type='mmdas.TemporalPoolingClsHead', head=HEAD, num_frames=T),
        )
    return {**model, **options}


def build(config: dict, policy: ViewPolicy | None = None, **options) -> nn.Module:
    torch.manual_seed(0)
    content = None if policy is None else policy.to_dict()
    config = dict(type='mmdas.ClsViewModel', module=copy.deepcopy(config), policy=content, **options)
    return MODELS.build(config).eval()


def make_batch(size: tuple[int, int] = (SIZE, SIZE)) -> dict:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(256, (B, 3, *size), generator=generator, dtype=torch.uint8)
    return dict(inputs=inputs, data_samples=[DataSample().set_gt_label(label) for label in range(B)])


def scores(model: nn.Module, batch: dict) -> Tensor:
    with torch.no_grad():
        samples = model.test_step(copy.deepcopy(batch))
    assert [int(sample.pred_label) for sample in samples] == [int(sample.pred_score.argmax()) for sample in samples]
    assert all(sample.pred_label.shape == (1,) for sample in samples)
    return torch.stack([sample.pred_score for sample in samples])


@pytest.mark.parametrize('das', [False, True])
def test_image_alone_is_the_model_without_views(das: bool):
    torch.manual_seed(0)
    plain = MODELS.build(classifier(das)).eval()
    model = build(classifier(das))
    model.module.load_state_dict(plain.state_dict())
    assert torch.equal(scores(model, make_batch()), scores(plain, make_batch()))


@pytest.mark.parametrize('das', [False, True])
def test_mean_of_image_and_mirror_image_is_that_of_two_predictions(das: bool):
    model = build(classifier(das), FLIPS)
    plain = MODELS.build(classifier(das)).eval()
    plain.load_state_dict(model.module.state_dict())
    batch = make_batch()
    mirrored = {**batch, 'inputs': batch['inputs'].flip(-1)}
    expected = 0.7 * scores(plain, batch) + 0.3 * scores(plain, mirrored)
    torch.testing.assert_close(scores(model, batch), expected, atol=1e-5, rtol=0)
    samples = model.test_step(copy.deepcopy(batch))
    assert [int(sample.gt_label) for sample in samples] == [0, 1, 2]


@pytest.mark.parametrize('das', [False, True])
def test_every_kind_of_view_runs_and_gives_probabilities(das: bool):
    found = scores(build(classifier(das), ALL), make_batch((SIZE, 40)))
    torch.testing.assert_close(found.sum(1), torch.ones(B))


def test_padded_images_have_the_views_of_their_contents():
    model, seen = build(classifier(data_preprocessor=dict(PIXELS, pad_size_divisor=16)), ALL), []
    model.module.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    scores(model, make_batch((20, 24)))
    images, _, sizes = model.preprocess(make_batch((20, 24)))
    assert images.shape[-2:] == (32, 32) and sizes == [(20, 24)] * B
    for shown, view in zip(seen, ALL.views, strict=True):
        height, width = view.resized((20, 24))
        torch.testing.assert_close(shown[..., :height, :width], view.apply(images[..., :20, :24], model.pixels))
        assert not shown[..., height:, :].any() and shown.shape[-1] % 16 == 0


@pytest.mark.slow
def test_export_gives_the_logarithm_of_the_mean():
    model, images = build(classifier(), ALL), torch.rand(1, 3, SIZE, SIZE)
    with torch.no_grad():
        expected = model(images)
        found = torch.export.export(model, (images,)).module()(images)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(expected.exp().sum(1), torch.ones(1))


def test_order_of_the_colours_must_be_known():
    unknown = classifier(data_preprocessor=dict(PIXELS, to_rgb=False))
    with pytest.raises(ValueError, match='contrast must know the order.*channel_order'):
        build(unknown, ALL)
    assert build(unknown, ALL, channel_order='bgr').pixels.channel_order == 'bgr'


def test_head_with_several_classes_is_refused():
    head = dict(type='MultiLabelLinearClsHead', num_classes=K, in_channels=64)
    with pytest.raises(ValueError, match='MultiLabelLinearClsHead'):
        build(classifier(head=head))
