"""TemporalPoolingHead on the decode heads of MMSegmentation."""

import copy
import pickle

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.decode_heads import PointHead, PSPHead
from mmseg.structures import SegDataSample
from records import without_records
from torch import nn

from mmdas.ops.clip import split_frames
from mmdas.registry import MODELS

B, T, K, SIZE = 2, 3, 5, 32
NORM = dict(type='BN')
MODES = ('mean', 'reference', 'max', 'attention')
SINGLE = dict(in_channels=16, in_index=0, channels=8, num_classes=K, norm_cfg=NORM)
PYRAMID = dict(in_channels=[16] * 4, in_index=[0, 1, 2, 3], channels=8, num_classes=K, norm_cfg=NORM)
HEADS = {
    'FCNHead': dict(type='FCNHead', num_convs=1, **SINGLE),
    'binary': dict(
        type='FCNHead',
        num_convs=1,
        **{**SINGLE, 'num_classes': 2},
        out_channels=1,
        threshold=0.4,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
    ),
    'PSPHead': dict(type='PSPHead', pool_scales=(1, 2), **SINGLE),
    'ASPPHead': dict(type='ASPPHead', dilations=(1, 2), **SINGLE),
    'DepthwiseSeparableASPPHead': dict(
        type='DepthwiseSeparableASPPHead', dilations=(1, 2), c1_in_channels=16, c1_channels=4, **SINGLE
    ),
    'UPerHead': dict(type='UPerHead', pool_scales=(1, 2), **PYRAMID),
    'SegformerHead': dict(type='SegformerHead', **PYRAMID),
    'DAHead': dict(type='DAHead', pam_channels=4, **SINGLE),  # three maps while training
    'EncHead': dict(  # a map and a vector of scores
        type='EncHead', num_codes=4, **{**SINGLE, 'in_channels': [16], 'in_index': [0]}, add_lateral=False
    ),
    'several-losses-and-sampler': dict(
        type='FCNHead',
        num_convs=1,
        **SINGLE,
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=50),
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce'),
            dict(type='CrossEntropyLoss', class_weight=[1.0] * K, loss_name='loss_weighted'),
        ],
    ),
}

pytestmark = pytest.mark.usefixtures('mmseg_scope')


def build(name='FCNHead', num_frames=T, pooling='mean'):
    head = MODELS.build(
        dict(type='mmdas.TemporalPoolingHead', head=HEADS[name], num_frames=num_frames, pooling=pooling)
    )
    torch.nn.init.normal_(head.conv_seg.weight)  # logits that differ between the frames
    return head


def make_features(num_frames=T, images=B):
    return tuple(torch.randn(images * num_frames, 16, size, size) for size in (16, 8, 4, 2))


def make_samples(num_classes=2, images=B):
    samples = []
    for _ in range(images):
        sample = SegDataSample(metainfo=dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE)))
        sample.gt_sem_seg = PixelData(data=torch.randint(num_classes, (1, SIZE, SIZE)))
        samples.append(sample)
    return samples


def metas(samples):
    return [sample.metainfo for sample in samples]


def total(losses):
    return sum(value for name, value in losses.items() if 'loss' in name)


@pytest.mark.parametrize('pooling', MODES)
@pytest.mark.parametrize('name', HEADS)
def test_loss_and_prediction_have_one_map_an_image(name, pooling):
    head, features, samples = build(name, pooling=pooling), make_features(), make_samples()
    head.train()
    total(head.loss(features, samples, ConfigDict())).backward()
    assert all(p.grad is not None for p in head.parameters())
    head.eval()
    logits = head.predict(features, metas(samples), ConfigDict())
    assert logits.shape == (B, head.out_channels, SIZE, SIZE)


@pytest.mark.parametrize('name', [name for name in HEADS if name not in ('DAHead', 'EncHead')])
def test_prediction_pools_what_the_plain_head_says_of_each_frame(name):
    head, features = build(name).eval(), make_features()
    plain = MODELS.build(HEADS[name]).eval()
    plain.load_state_dict(without_records(head))  # strict: the same keys
    expected = split_frames(plain(features), T).mean(1)
    assert torch.equal(head(features), expected)
    samples = make_samples()
    predicted = plain.predict_by_feat(expected, metas(samples))
    assert torch.equal(head.predict(features, metas(samples), ConfigDict()), predicted)
    ours, theirs = head.loss(features, samples, ConfigDict()), plain.loss_by_feat(expected, samples)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize('pooling', ['mean', 'max'])
def test_order_of_the_frames_does_not_matter(pooling):
    head, features = build('UPerHead', pooling=pooling).eval(), make_features()
    order = [2, 0, 1]
    shuffled = tuple(split_frames(x, T)[:, order].flatten(0, 1) for x in features)
    torch.testing.assert_close(head(shuffled), head(features))


def test_only_attention_adds_keys():
    plain = set(MODELS.build(HEADS['PSPHead']).state_dict())
    for pooling in MODES:
        added = set(without_records(build('PSPHead', pooling=pooling))) - plain
        expected = {'temporal_pooling.score.weight', 'temporal_pooling.score.bias'} if pooling == 'attention' else set()
        assert added == expected


def test_attention_starts_as_the_mean_after_the_initialisation_of_the_head():
    attention, mean, features = build(pooling='attention'), build(), make_features()
    attention.init_weights()
    mean.load_state_dict(without_records(attention), strict=False)
    torch.testing.assert_close(attention.eval()(features), mean.eval()(features))


@pytest.mark.parametrize('pooling', MODES)
def test_one_frame_equals_the_plain_head(pooling):
    head, features, samples = build(num_frames=1, pooling=pooling), make_features(1), make_samples()
    plain = MODELS.build(HEADS['FCNHead'])
    plain.load_state_dict(head.state_dict())
    losses = []
    for each in (head, plain):
        torch.manual_seed(1)  # dropout
        losses.append(each.loss(features, samples, ConfigDict()))
    assert all(torch.equal(losses[0][key], losses[1][key]) for key in losses[1])
    head.eval(), plain.eval()
    assert torch.equal(head(features), plain(features))


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=['copy', 'pickle'])
def test_duplicate_uses_its_own_weights(duplicate):
    head, features = build(pooling='attention').eval(), make_features()
    samples = make_samples()
    before = head.predict(features, metas(samples), ConfigDict())
    other = duplicate(head)
    assert torch.equal(other.predict(features, metas(samples), ConfigDict()), before)
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    assert not torch.equal(other.predict(features, metas(samples), ConfigDict()), before)
    assert torch.equal(head.predict(features, metas(samples), ConfigDict()), before)


@pytest.mark.parametrize(('ours', 'theirs'), [(4, 8), (8, 4), (1, 4), (4, 1)])
def test_other_frames_than_the_backbone_are_named_in_loss_and_prediction(ours, theirs):
    head, features, samples = build(num_frames=ours), make_features(theirs), make_samples()
    message = (
        rf'head.num_frames is {ours}, but {B} images came as {B * theirs} frames \(num_frames={theirs} of the back'
    )
    with pytest.raises(ValueError, match=message):
        head.loss(features, samples, ConfigDict())
    with pytest.raises(ValueError, match=message):
        head.predict(features, metas(samples), ConfigDict())


class TestCascade:
    """OCRHead sees the pooled prediction of the head before it."""

    OCR = dict(type='OCRHead', ocr_channels=4, **SINGLE)

    def build_model(self, num_frames=T):
        heads = [HEADS['FCNHead'], self.OCR]
        return MODELS.build(
            dict(
                type='CascadeEncoderDecoder',
                num_stages=2,
                data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', num_frames=num_frames),
                backbone=dict(
                    type='mmdas.FrameFusionBackbone',
                    num_frames=num_frames,
                    backbone=dict(type='ResNet', depth=18, base_channels=16, stem_channels=8),
                ),
                decode_head=[dict(type='mmdas.TemporalPoolingHead', num_frames=num_frames, head=h) for h in heads],
                test_cfg=ConfigDict(mode='whole'),
            )
        )

    def test_loss_prediction_and_tensor(self):
        model, samples = self.build_model(), make_samples(K)
        clip = torch.randn(B, T * 3, SIZE, SIZE)
        total(model(clip, samples, mode='loss')).backward()
        assert all(p.grad is not None for p in model.decode_head.parameters())
        assert model(clip).shape == (B, K, 8, 8)
        assert [r.pred_sem_seg.shape for r in model(clip, samples, mode='predict')] == [(SIZE, SIZE)] * B

    def test_every_frame_is_given_the_prediction_of_its_own_image(self):
        head = MODELS.build(dict(type='mmdas.TemporalPoolingHead', head=self.OCR, num_frames=T)).eval()
        plain = MODELS.build(self.OCR).eval()
        plain.load_state_dict(without_records(head))
        features, previous = make_features(), torch.randn(B, K, 16, 16)
        frames = [plain([x[i : i + 1] for x in features], previous[i // T : i // T + 1]) for i in range(B * T)]
        expected = torch.stack([torch.cat(frames[i * T : i * T + T]).mean(0) for i in range(B)])
        torch.testing.assert_close(head(features, previous), expected)

    def test_repeated_image_equals_the_plain_cascade(self):
        pooled, plain = self.build_model().eval(), self.build_model(1).eval()
        pooled.load_state_dict(plain.state_dict())
        images = torch.randn(B, 3, SIZE, SIZE)
        torch.testing.assert_close(pooled(images.repeat(1, T, 1, 1)), plain(images))


@pytest.mark.parametrize('kind', [PointHead, nn.Identity])
def test_head_that_predicts_no_map_is_refused(kind):
    head = kind.__new__(kind)  # the constructor of PointHead needs compiled operators
    nn.Module.__init__(head)
    with pytest.raises(ValueError, match=f'pools maps of logits, but {kind.__name__} predicts'):
        MODELS.build(dict(type='mmdas.TemporalPoolingHead', head=head, num_frames=T))


def test_head_is_wrapped_once():
    inner = dict(type='mmdas.TemporalPoolingHead', head=HEADS['FCNHead'], num_frames=T)
    with pytest.raises(ValueError, match='already takes frames; use .* only once'):
        MODELS.build(dict(type='mmdas.TemporalPoolingHead', head=inner, num_frames=T))


def test_head_is_picked_from_a_list():
    heads = [HEADS['FCNHead'], HEADS['PSPHead']]
    picked = MODELS.build(dict(type='mmdas.TemporalPoolingHead', head=heads, index=1, num_frames=T))
    assert isinstance(picked, PSPHead)


@pytest.mark.parametrize(('heads', 'index'), [(['FCNHead', 'PSPHead'], None), (['FCNHead'], 1), ('FCNHead', 0)])
def test_index_that_fits_no_list_is_refused(heads, index):
    head = HEADS[heads] if isinstance(heads, str) else [HEADS[name] for name in heads]
    with pytest.raises(ValueError, match='index'):
        MODELS.build(dict(type='mmdas.TemporalPoolingHead', head=head, index=index, num_frames=T))


@pytest.mark.parametrize('losses', [HEADS['binary']['loss_decode'], dict(type='LovaszLoss', per_image=True)])
def test_batch_that_is_ignored_wholly_has_a_loss_of_zero_that_reaches_all_parameters(losses):
    name = 'binary' if losses['type'] == 'CrossEntropyLoss' else 'FCNHead'
    host = {**HEADS[name], 'loss_decode': losses}
    head = MODELS.build(dict(type='mmdas.TemporalPoolingHead', head=host, num_frames=T))
    features, samples = make_features(), make_samples()
    features[0].requires_grad_()
    for sample in samples:
        sample.gt_sem_seg.data = torch.full_like(sample.gt_sem_seg.data, head.ignore_index)
    losses = head.loss(features, samples, {})
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()
    assert total.item() == 0
    assert all(not tensor.grad.any() for tensor in (features[0], *head.parameters()))


def test_zero_loss_of_an_ignored_batch_does_not_hide_diverged_features():
    head, samples = build(), make_samples()
    for sample in samples:
        sample.gt_sem_seg.data = torch.full_like(sample.gt_sem_seg.data, head.ignore_index)
    features = make_features()
    features[0][0, 0, 0, 0] = float('nan')
    assert not torch.isfinite(sum(head.loss(features, samples, {}).values()))
