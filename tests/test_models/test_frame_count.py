"""Parts whose number of frames is open take it from what comes, and then do what parts do that are given it."""

import copy
from collections.abc import Iterator

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import nn

from mmdas.models.settings import KEY, decode
from mmdas.registry import MODELS

B, T, K = 2, 4, 3
RESNET = dict(
    type='ResNet_CIFAR', depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,), base_channels=8
)
CLS_HEAD = dict(type='LinearClsHead', num_classes=K, in_channels=16, topk=(1,))
SEG_RESNET = dict(
    type='ResNet',
    depth=18,
    num_stages=2,
    strides=(1, 2),
    dilations=(1, 1),
    out_indices=(0, 1),
    base_channels=8,
    stem_channels=8,
)
SEG_HEAD = dict(type='FCNHead', in_channels=16, in_index=1, channels=8, num_convs=1, num_classes=K, dropout_ratio=0)
GSF = dict(type='mmdas.GateShiftFuse')


@pytest.fixture(params=['mmpretrain', 'mmseg'])
def scope(request) -> Iterator[str]:
    with DefaultScope.overwrite_default_scope(request.param):
        yield request.param


def build(scope, given=None, frames=T, fusion=GSF, pooling='attention', kind='EncoderDecoder', **options) -> nn.Module:
    """A model whose data preprocessor is told `frames` and whose parts are told `given`."""
    shared = {} if given is None else dict(num_frames=given)
    host = dict(RESNET, stem_channels=8) if scope == 'mmpretrain' else SEG_RESNET
    backbone = dict(type='mmdas.FrameFusionBackbone', backbone=host, fusion=fusion, **shared, **options)
    if scope == 'mmpretrain':
        config = dict(
            type='ImageClassifier',
            data_preprocessor=dict(type='mmdas.DASClsDataPreprocessor', num_frames=frames),
            backbone=backbone,
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='mmdas.TemporalPoolingClsHead', head=CLS_HEAD, pooling=pooling, **shared, **options),
        )
    else:
        config = dict(
            type=kind,
            data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', num_frames=frames, size_divisor=8),
            backbone=backbone,
            decode_head=dict(type='mmdas.TemporalPoolingHead', head=SEG_HEAD, pooling=pooling, **shared, **options),
            test_cfg=dict(mode='slide', crop_size=(16, 16), stride=(8, 8)),
        )
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(config))
    model.init_weights()
    return model


def make_batch(scope) -> dict:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randint(256, (3, 24, 24), generator=generator, dtype=torch.uint8) for _ in range(B)]
    if scope == 'mmpretrain':
        return dict(inputs=inputs, data_samples=[DataSample().set_gt_label(index) for index in range(B)])
    samples = [SegDataSample(metainfo=dict(img_shape=(24, 24), ori_shape=(24, 24))) for _ in range(B)]
    for sample in samples:
        sample.gt_sem_seg = PixelData(data=torch.randint(K, (1, 24, 24), generator=generator))
    return dict(inputs=inputs, data_samples=samples)


def train(model: nn.Module, scope: str) -> dict:
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    return [model.train_step(copy.deepcopy(make_batch(scope)), wrapper) for _ in range(2)][-1]


def predict(model: nn.Module, scope: str) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        results = model.test_step(copy.deepcopy(make_batch(scope)))
    return torch.stack([r.pred_score if scope == 'mmpretrain' else r.seg_logits.data for r in results])


def head_of(model: nn.Module) -> nn.Module:
    return model.head if hasattr(model, 'head') else model.decode_head


def parts_of(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    return model.backbone.fusion, head_of(model).temporal_pooling


def records_of(model: nn.Module) -> list[dict]:
    return [decode(value) for key, value in model.state_dict().items() if key.endswith(KEY)][1:]


@pytest.mark.parametrize(
    ('scope', 'kind'),
    [('mmpretrain', 'ImageClassifier'), ('mmseg', 'EncoderDecoder'), ('mmseg', 'mmdas.DASEncoderDecoder')],
    indirect=['scope'],
)
def test_open_frames_train_test_and_save_as_given_ones(scope, kind):
    open_model, given = (build(scope, frames, kind=kind) for frames in (None, T))
    ours, theirs = (train(model, scope) for model in (open_model, given))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    states = [model.state_dict() for model in (open_model, given)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())
    assert torch.equal(predict(open_model, scope), predict(given, scope))


@pytest.mark.parametrize('seen', [False, True])
def test_frames_of_the_checkpoint_are_taken_up_where_they_are_open(scope, seen):
    trained, loaded = build(scope), build(scope)
    if seen:
        predict(trained, scope)
    assert all(('num_frames' in record) == seen for record in records_of(trained))
    loaded.load_state_dict(trained.state_dict())
    assert [part.num_frames for part in parts_of(loaded)] == [T if seen else None] * 2


def test_checkpoint_of_an_open_model_is_refused_by_parts_of_other_frames(scope):
    trained = build(scope)
    predict(trained, scope)
    with pytest.raises(ValueError, match=r'backbone\.num_frames is 2 and was 4'):
        build(scope, 2).load_state_dict(trained.state_dict())


def test_other_frames_that_are_accepted_are_those_of_the_clip(scope):
    trained, other = build(scope), build(scope, frames=2, accept_difference=True)
    predict(trained, scope)
    other.data_preprocessor.accept_difference = True
    other.load_state_dict(trained.state_dict())
    predict(other, scope)
    assert [part.num_frames for part in parts_of(other)] == [2, 2]


def test_segmentor_of_das_tells_its_parts_before_the_first_image():
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = build('mmseg', kind='mmdas.DASEncoderDecoder')
    assert [part.num_frames for part in (*parts_of(model), *model.backbone.fusion.values())] == [T] * 6
    assert model(torch.rand(B, 3, 16, 16)).shape[:2] == (B, K)


def test_segmentor_of_das_refuses_one_frame_where_modules_wait_for_several():
    with (
        DefaultScope.overwrite_default_scope('mmseg'),
        pytest.raises(ValueError, match=r'one frame, but backbone has .* set data_preprocessor\.num_frames'),
    ):
        build('mmseg', frames=1, kind='mmdas.DASEncoderDecoder')


def test_averages_know_the_frames_too(scope):
    model = build(scope)
    average = ExponentialMovingAverage(model, momentum=0.5, update_buffers=True)
    train(model, scope)
    average.update_parameters(model)
    assert torch.equal(predict(average.module, scope), predict(model, scope))


def test_one_open_frame_is_the_plain_model_with_the_same_keys(scope):
    open_model, given = (build(scope, frames, frames=1, fusion=None, pooling='mean') for frames in (None, 1))
    before = open_model.state_dict().keys()
    ours, theirs = (train(model, scope) for model in (open_model, given))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    assert torch.equal(predict(open_model, scope), predict(given, scope))
    assert open_model.state_dict().keys() == before


@pytest.mark.parametrize(
    ('options', 'place'),
    [(dict(fusion=dict(type='mmdas.TemporalShift')), 'backbone'), (dict(fusion=None), 'head')],
    ids=['fusion', 'attention'],
)
def test_one_frame_where_modules_wait_for_several_is_refused(scope, options, place):
    model = build(scope, frames=1, **options)
    with pytest.raises(
        ValueError, match=rf'one frame, but {place} has .* or {place}\.num_frames=1 for the plain model'
    ):
        predict(model, scope)


def test_images_of_other_channels_are_refused(scope):
    with pytest.raises(ValueError, match='clips of images of 3 channels each, got one of 8'):
        build(scope).backbone(torch.rand(1, 8, 16, 16))


def test_head_that_knows_neither_frames_nor_samples_says_so(scope):
    model = build(scope)
    with pytest.raises(ValueError, match=r'head\.num_frames is open and no samples say'):
        model(torch.rand(B, T * 3, 16, 16))


def test_samples_that_do_not_divide_the_frames_are_refused(scope):
    head, samples = head_of(build(scope)), make_batch(scope)['data_samples']
    features = tuple(torch.rand(3, 16, *((8, 8) if scope == 'mmseg' else ())) for _ in range(2))
    with pytest.raises(ValueError, match=r'head\.num_frames is open, but 2 images came as 3 frames'):
        head.loss(features, samples, *([{}] if scope == 'mmseg' else []))


@pytest.mark.parametrize('how', ['export', 'trace', 'compile'])
@pytest.mark.parametrize('seen', [False, True])
@pytest.mark.slow
def test_open_backbone_can_be_exported(scope, how, seen):
    backbone = build(scope).backbone.eval()
    for fusion in backbone.fusion.values():
        nn.init.constant_(fusion.conv3D.bias, 1.0)
    clip = torch.randn(B, T * 3, 16, 16)
    with torch.no_grad():
        expected = copy.deepcopy(backbone)(clip)
        if seen:
            backbone(clip)
        if how == 'export':
            exported = torch.export.export(backbone, (clip,), strict=False).module()
        elif how == 'trace':
            exported = torch.jit.trace(backbone, clip, check_trace=False)
        else:
            exported = torch.compile(backbone, backend='eager')
        assert all(torch.allclose(a, b) for a, b in zip(exported(clip), expected, strict=True))


def test_an_open_head_does_not_go_on_with_the_frames_of_another_batch():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = MODELS.build(dict(type='mmdas.TemporalPoolingClsHead', head=CLS_HEAD))
    samples = [DataSample(), DataSample()]
    assert len(head.predict((torch.rand(8, 16),), samples)) == 2  # four frames each
    with pytest.raises(ValueError, match='no samples say how many images'):
        head((torch.rand(8, 16),))  # four images of two frames, perhaps
