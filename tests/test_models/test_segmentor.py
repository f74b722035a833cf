"""Whole segmentors of MMSegmentation with the components of mmdas."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from mmengine.registry import TRANSFORMS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from mmdas.registry import MODELS
from mmdas.search.das import Policy

B, T, K = 2, 3, 5
# Zero-initialised residuals would silence what the blocks and their fusion compute at the start.
BACKBONE = dict(
    type='ResNetV1c', depth=18, base_channels=8, stem_channels=8, strides=(1, 2, 1, 1), zero_init_residual=False
)
HEAD = dict(type='FCNHead', in_channels=64, in_index=3, channels=8, num_convs=1, num_classes=K)
AUXILIARY = dict(HEAD, in_channels=32, in_index=2)
PREPROCESSOR = dict(mean=[120.0] * 3, std=[60.0] * 3, size_divisor=8)
WHOLE = dict(mode='whole')
SLIDE = dict(mode='slide', crop_size=(24, 24), stride=(16, 16))

pytestmark = pytest.mark.usefixtures('mmseg_scope')


def build_plain(test_cfg=WHOLE, **options):
    config = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', **PREPROCESSOR),
        backbone=BACKBONE,
        decode_head=HEAD,
        auxiliary_head=AUXILIARY,
        test_cfg=test_cfg,
    )
    return initialise(config | options)


def build(num_frames=T, fusion='mmdas.GateShiftFuse', pooling='mean', source=None, test_cfg=WHOLE, **options):
    def pooled(head):
        return dict(type='mmdas.TemporalPoolingHead', head=head, num_frames=num_frames, pooling=pooling)

    preprocessor = PREPROCESSOR | options.pop('preprocessor', {}) | (source or {})
    config = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', num_frames=num_frames, **preprocessor),
        backbone=dict(
            type='mmdas.FrameFusionBackbone',
            backbone=BACKBONE,
            num_frames=num_frames,
            fusion=fusion and dict(type=fusion),
        ),
        decode_head=pooled(options.pop('head', HEAD)),
        auxiliary_head=pooled(AUXILIARY),
        test_cfg=test_cfg,
    )
    return initialise(config | options)


def initialise(config):
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(config))
    model.init_weights()
    return model


def make_batch(size=(32, 40), images=B, num_classes=K):
    """Images and labels as a data loader gives them; brightness tells the label, in stripes of 8 rows."""
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for _ in range(images):
        labels = torch.randint(num_classes, (size[0],), generator=generator)
        labels = labels[torch.arange(size[0]) // 8 * 8].view(1, -1, 1).expand(1, *size)
        noise = torch.randint(30, (3, *size), generator=generator)
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        sample.gt_sem_seg = PixelData(data=labels.contiguous())
        inputs.append((labels * 40 + noise).to(torch.uint8))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def copy_shared_weights(model, plain):
    """Give ``model`` the weights of ``plain``, which must name all that the fusion does not."""
    result = model.load_state_dict(plain.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert all('.fusion.' in key or 'temporal_pooling' in key for key in result.missing_keys)


def open_gates(model):
    for module in model.backbone.fusion.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.constant_(module.bias, 1.0)


def predict(model, batch):
    model.eval()
    with torch.no_grad():
        return model.test_step(copy.deepcopy(batch))


def logits(model, batch):
    return torch.stack([result.seg_logits.data for result in predict(model, batch)])


def train(model, batch, steps=1, lr=0.05):
    """Losses of some steps on one batch."""
    model.train()
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr, momentum=0.9))
    torch.manual_seed(1)
    return [model.train_step(copy.deepcopy(batch), wrapper) for _ in range(steps)]


def assert_same_state(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


class TestOneFrame:
    """Without a policy, one frame is the plain model bit for bit."""

    @pytest.mark.parametrize('pooling', ['mean', 'max', 'reference', 'attention'])
    @pytest.mark.slow
    def test_training_equals_the_plain_model(self, pooling):
        model, plain, batch = build(1, pooling=pooling), build_plain(), make_batch()
        assert_same_state(model.state_dict(), plain.state_dict())  # also drawn alike
        assert_same_state(*({k: v for step in train(m, batch, 2) for k, v in step.items()} for m in (model, plain)))
        assert_same_state(model.state_dict(), plain.state_dict())

    @pytest.mark.parametrize('size', [(32, 40), (37, 29)])
    @pytest.mark.parametrize('test_cfg', [WHOLE, SLIDE], ids=['whole', 'slide'])
    @pytest.mark.slow
    def test_prediction_and_tensor_equal_the_plain_model(self, test_cfg, size):
        model, plain, batch = build(1, test_cfg=test_cfg), build_plain(test_cfg), make_batch(size)
        copy_shared_weights(model, plain)
        for ours, theirs in zip(predict(model, batch), predict(plain, batch), strict=True):
            assert torch.equal(ours.seg_logits.data, theirs.seg_logits.data)
            assert torch.equal(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)
        images = torch.randn(B, 3, *size)
        assert torch.equal(model(images), plain(images))


@pytest.mark.parametrize('size', [(32, 40), (37, 29), (24, 24)])
@pytest.mark.parametrize('test_cfg', [WHOLE, SLIDE], ids=['whole', 'slide'])
@pytest.mark.parametrize('fusion', ['mmdas.GateShift', 'mmdas.GateShiftFuse', None])
@pytest.mark.slow
def test_repeated_frames_start_as_the_plain_model(fusion, test_cfg, size):
    model, plain, batch = build(fusion=fusion, test_cfg=test_cfg), build_plain(test_cfg), make_batch(size)
    copy_shared_weights(model, plain)
    torch.testing.assert_close(logits(model, batch), logits(plain, batch))


def sources():
    policy = Policy.random(T, 'paper').to_dict()
    return {'repeat': {}, 'policy': dict(policy=policy), 'cell': dict(cell=dict(type='mmdas.DASCell'))}


@pytest.mark.parametrize('source', ['repeat', 'policy', 'cell'])
@pytest.mark.parametrize('images', [1, 3])
@pytest.mark.parametrize('test_cfg', [WHOLE, SLIDE], ids=['whole', 'slide'])
@pytest.mark.slow
def test_every_mode_returns_one_result_an_image(source, images, test_cfg):
    model, batch = build(source=sources()[source], test_cfg=test_cfg), make_batch((37, 29), images)
    results = predict(model, batch)
    assert [r.pred_sem_seg.shape for r in results] == [(37, 29)] * images
    assert [r.seg_logits.shape for r in results] == [(37, 29)] * images
    data = model.data_preprocessor(make_batch((37, 29), images), training=True)
    assert data['inputs'].shape == (images, T * 3, 40, 32)
    assert model(**data, mode='tensor').shape[:2] == (images, K)
    losses = model(**data, mode='loss')
    assert set(losses) == {'decode.loss_ce', 'decode.acc_seg', 'aux.loss_ce', 'aux.acc_seg'}
    assert all(value.isfinite().all() for value in losses.values())


@pytest.mark.parametrize('source', ['repeat', 'policy', 'cell'])
@pytest.mark.slow
def test_training_lowers_the_loss(source):
    # A larger step makes so small a network chaotic: rounding decides whether the loss falls.
    losses = [
        step['decode.loss_ce'].item() for step in train(build(source=sources()[source]), make_batch(), 8, lr=0.05)
    ]
    assert losses[-1] < 0.9 * losses[0]


def test_slide_over_one_window_equals_whole():
    window = dict(mode='slide', crop_size=(32, 40), stride=(32, 40))
    whole, slide = build(source=sources()['policy']), build(source=sources()['policy'], test_cfg=window)
    torch.testing.assert_close(logits(slide, make_batch()), logits(whole, make_batch()))


def test_images_of_a_batch_do_not_leak_into_each_other():
    model, batch = build(source=sources()['policy']), make_batch()
    open_gates(model)
    changed = copy.deepcopy(batch)
    changed['inputs'][0] = 255 - changed['inputs'][0]
    before, after = logits(model, batch), logits(model, changed)
    torch.testing.assert_close(after[1], before[1])
    assert not torch.allclose(after[0], before[0])


@pytest.mark.parametrize('pooling', ['mean', 'max'])
def test_order_of_the_frames_matters_with_fusion_alone(pooling):
    clip = torch.randn(B, T, 3, 32, 32)
    shuffled = clip[:, [2, 0, 1]].flatten(1, 2)
    without = build(fusion=None, pooling=pooling).eval()
    torch.testing.assert_close(without(shuffled), without(clip.flatten(1, 2)))
    fusing = build(pooling=pooling).eval()
    open_gates(fusing)
    assert not torch.allclose(fusing(shuffled), fusing(clip.flatten(1, 2)))


def test_binary_head_trains_and_predicts():
    head = dict(HEAD, num_classes=2, out_channels=1, threshold=0.4)
    head['loss_decode'] = dict(type='CrossEntropyLoss', use_sigmoid=True)
    model = build(head=head, auxiliary_head=None)
    batch = make_batch(num_classes=2)
    losses = train(model, batch, 8)
    assert losses[-1]['decode.loss_ce'] < losses[0]['decode.loss_ce']
    result = predict(model, batch)[0]
    expected = result.seg_logits.data > 0.4  # the host puts the probabilities here
    assert torch.equal(result.pred_sem_seg.data, expected.to(result.pred_sem_seg.data))


def test_several_auxiliary_heads():
    pooled = dict(type='mmdas.TemporalPoolingHead', head=AUXILIARY, num_frames=T)
    model = build(auxiliary_head=[pooled, pooled])
    data = model.data_preprocessor(make_batch(), training=True)
    assert {'aux_0.loss_ce', 'aux_1.loss_ce'} <= set(model(**data, mode='loss'))


class TestSearch:
    def test_policy_logits_learn_from_the_loss_of_the_segmentor(self):
        model = build(source=sources()['cell'])
        data = model.data_preprocessor(make_batch(), training=True)
        model(**data, mode='loss')['decode.loss_ce'].backward()
        assert model.data_preprocessor.cell.logits.grad.any(dim=1).all()  # every edge

    def test_state_holds_the_cell_and_no_policy(self):
        keys = {source: set(build(source=options).state_dict()) for source, options in sources().items()}
        cell = build(source=sources()['cell']).data_preprocessor.cell
        assert keys['policy'] == keys['repeat']
        assert keys['cell'] - keys['repeat'] == {f'data_preprocessor.cell.{name}' for name in cell.state_dict()}

    def test_a_searched_model_gives_its_weights_to_the_model_with_the_policy(self):
        searched, trained = build(source=sources()['cell']), build(source=sources()['policy'])
        with pytest.raises(ValueError, match='policy is .* and was .a search cell.*--accept-difference'):
            trained.load_state_dict(searched.state_dict(), strict=False)
        trained.data_preprocessor.accept_difference = True
        result = trained.load_state_dict(searched.state_dict(), strict=False)
        assert not result.missing_keys
        assert all(key.startswith('data_preprocessor.cell.') for key in result.unexpected_keys)


@pytest.mark.parametrize('source', ['repeat', 'policy'])
def test_test_time_padding_is_cut_off_again(source):
    padding = dict(test_cfg=dict(size_divisor=32))
    model = build(source=sources()[source], preprocessor=padding)
    clip = model.data_preprocessor(make_batch((33, 21)))['inputs']
    assert clip.shape == (B, T * 3, 64, 32)
    assert [r.pred_sem_seg.shape for r in predict(model, make_batch((33, 21)))] == [(33, 21)] * B


class TestTestTimeAugmentation:
    def predict(self, image, ratios=(1.0,)):
        torch.manual_seed(0)
        tta = MODELS.build(dict(type='SegTTAModel', module=build(source=sources()['policy']))).eval()
        transforms = [
            [dict(type='Resize', scale_factor=ratio, keep_ratio=True) for ratio in ratios],
            [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
            [dict(type='PackSegInputs')],
        ]
        pipeline = TRANSFORMS.build(dict(type='TestTimeAug', transforms=transforms))
        shape = image.shape[:2]
        data = pipeline(dict(img=image, img_shape=shape, ori_shape=shape, seg_fields=[], img_path='', seg_map_path=''))
        with torch.no_grad():
            (result,) = tta.test_step(pseudo_collate([data]))
        return result.pred_sem_seg.data.numpy()

    def test_flips_and_scales_give_one_prediction_of_the_size_of_the_image(self):
        image = np.random.RandomState(0).randint(256, size=(33, 46, 3), dtype=np.uint8)
        assert self.predict(image, (0.75, 1.0, 1.5)).shape == (1, 33, 46)

    def test_prediction_of_a_mirrored_image_is_mirrored(self):
        image = np.random.RandomState(0).randint(256, size=(32, 40, 3), dtype=np.uint8)
        prediction = self.predict(image)
        assert len(np.unique(prediction)) > 1
        np.testing.assert_array_equal(self.predict(image[:, ::-1].copy()), prediction[..., ::-1])


def test_moving_average_has_its_own_fusion_and_head():
    model, batch = build(source=sources()['policy'], pooling='attention'), make_batch()
    average = ExponentialMovingAverage(model, momentum=0.5)
    before = logits(model, batch)
    assert torch.equal(logits(average.module, batch), before)
    open_gates(model)
    nn.init.normal_(model.decode_head.temporal_pooling.score.weight)
    moved = logits(model, batch)
    assert not torch.allclose(moved, before)
    assert torch.equal(logits(average.module, batch), before)
    average.update_parameters(model)  # the first update copies
    torch.testing.assert_close(logits(average.module, batch), moved)


def test_pretrained_backbone_of_the_segmentor_is_loaded(tmp_path):
    torch.manual_seed(7)
    plain = MODELS.build(BACKBONE)
    torch.save(plain.state_dict(), tmp_path / 'resnet.pth')
    state = build(pretrained=str(tmp_path / 'resnet.pth')).backbone.state_dict()
    assert all(torch.equal(state[name], value) for name, value in plain.state_dict().items())


@pytest.mark.parametrize('pooling', ['mean', 'attention'])
@pytest.mark.parametrize('fusion', ['mmdas.TemporalShift', 'mmdas.GateShift', 'mmdas.GateShiftFuse'])
def test_half_precision_trains(fusion, pooling):
    model = build(fusion=fusion, pooling=pooling, source=sources()['cell'])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        data = model.data_preprocessor(make_batch(), training=True)
        losses = model(**data, mode='loss')
    loss = sum(value for name, value in losses.items() if 'loss' in name)
    loss.backward()
    full = model(**data, mode='loss')['decode.loss_ce']
    torch.testing.assert_close(losses['decode.loss_ce'].float(), full, rtol=0.05, atol=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_frames_of_backbone_and_preprocessor_must_agree():
    model = build(4)
    model.data_preprocessor.num_frames = 8
    message = r'backbone\.num_frames is 4, data_preprocessor\.num_frames is 8'
    with pytest.raises(ValueError, match=message):
        train(model, make_batch())
    with pytest.raises(ValueError, match=message):
        predict(model, make_batch())
