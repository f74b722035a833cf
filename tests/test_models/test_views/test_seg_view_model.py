"""Segmentors that look at several views of an image."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.runner import save_checkpoint
from mmengine.runner.checkpoint import load_checkpoint
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmdas.registry import MODELS
from mmdas.search.das import Policy
from mmdas.search.policy_file import PolicyError
from mmdas.search.test_time import View, ViewPolicy

T, K, SIZE = 2, 4, (24, 32)
RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, strides=(1, 2, 1, 1))
PIXEL = dict(type='mmdas.PixelBackbone')
PIXELS = dict(mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True)
SLIDE = dict(mode='slide', crop_size=(16, 16), stride=(8, 8))
FLIPS = ViewPolicy((View(), View(flip=True)), (0.75, 0.25))
MOVES = ViewPolicy(
    (View('translate_x', 0.125), View(flip=True), View('translate_y', -0.25, flip=True), View('translate_x', -0.25)),
    (0.4, 0.1, 0.3, 0.2),
)
ALL = ViewPolicy(
    (View(), View('rotate', 8.0), View('scale', 0.2, flip=True), View(size=1.5), View('saturation', 0.3, size=0.75)),
    (0.3, 0.2, 0.2, 0.2, 0.1),
)

pytestmark = pytest.mark.usefixtures('mmseg_scope')


@pytest.fixture(autouse=True, scope='module')
def pixel_backbone():
    @MODELS.register_module(name='PixelBackbone', force=True)
    class PixelBackbone(nn.Module):
        """Features are the image: equivariant to every move of pixels."""

        def forward(self, images: Tensor) -> tuple[Tensor]:
            return (images,)

    yield
    MODELS.module_dict.pop('PixelBackbone')


def segmentor(backbone: dict = RESNET, kind: str = 'plain', **options) -> dict:
    """Config: ``'plain'``, ``'das'`` with clips, ``'cascade'``, or ``'binary'`` with one channel."""
    channels = 3 if backbone is PIXEL else 64
    head = dict(type='FCNHead', in_channels=channels, in_index=-1, channels=8, num_convs=0, concat_input=False)
    head.update(channels=channels, dropout_ratio=0, num_classes=K)
    model = dict(type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', **PIXELS))
    model.update(backbone=backbone, decode_head=head, test_cfg=dict(mode='whole'))
    if kind == 'binary':
        loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
        head.update(num_classes=2, out_channels=1, threshold=0.4, loss_decode=loss)
    if kind == 'cascade':
        second = {**head, 'type': 'OCRHead', 'ocr_channels': 8, 'channels': 8}
        second = {key: value for key, value in second.items() if key not in ('num_convs', 'concat_input')}
        model.update(type='CascadeEncoderDecoder', num_stages=2, decode_head=[head, second])
    if kind == 'das':
        policy = Policy.random(T, space=['translate_x', 'rotate'], reference_size=SIZE).to_dict()
        model.update(
            type='mmdas.DASEncoderDecoder',
            data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', num_frames=T, policy=policy, **PIXELS),
            backbone=dict(type='mmdas.FrameFusionBackbone', backbone=backbone, num_frames=T),
            decode_head=dict(type='mmdas.TemporalPoolingHead', head=head, num_frames=T),
        )
    model['data_preprocessor'].update(options.pop('preprocessor', {}))
    return {**model, **options}


def wrap(config: dict, policy: ViewPolicy | None = None) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(type='mmdas.SegViewModel', module=copy.deepcopy(config), policy=None)).eval()
    for head in [model.module.decode_head] if not isinstance(model.module.decode_head, nn.ModuleList) else []:
        nn.init.normal_(head.conv_seg.weight, std=1.0)
    model.use(policy or ViewPolicy())
    return model


def make_batch(*sizes: tuple[int, int], original: tuple[int, int] | None = None) -> dict:
    """Images of these sizes, whose files have another size if given."""
    images, samples = [], []
    for seed, size in enumerate(sizes or [SIZE]):
        generator = torch.Generator().manual_seed(seed)
        images.append(torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8))
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=original or size, pad_shape=size))
        sample.gt_sem_seg = PixelData(data=torch.zeros(1, *(original or size)))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def predict(model: nn.Module, batch: dict) -> list[Tensor]:
    """Logits or probabilities of the images of a batch, as they are saved."""
    with torch.no_grad():
        return [sample.seg_logits.data for sample in model.test_step(copy.deepcopy(batch))]


def labels(model: nn.Module, batch: dict) -> list[Tensor]:
    with torch.no_grad():
        return [sample.pred_sem_seg.data for sample in model.test_step(copy.deepcopy(batch))]


@pytest.mark.parametrize('kind', ['plain', 'das', 'cascade', 'binary'])
def test_image_alone_is_the_wrapped_model(kind: str):
    model = wrap(segmentor(kind=kind), ViewPolicy())
    batch = make_batch(original=(48, 60))
    assert all(torch.equal(a, b) for a, b in zip(predict(model, batch), predict(model.module, batch), strict=True))


@pytest.mark.parametrize('kind', ['plain', 'das', 'cascade', 'binary'])
def test_one_view_that_changes_nothing_gives_the_labels_of_the_wrapped_model(kind: str):
    backbone = PIXEL if kind == 'binary' else RESNET
    model = wrap(segmentor(backbone, kind), ViewPolicy((View('brightness', 0.0),), (1.0,)))
    batch = make_batch(original=(48, 60))
    (found,), (expected,) = labels(model, batch), labels(model.module, batch)
    assert len(expected.unique()) > 1
    assert (found == expected).float().mean() > 0.999


@pytest.mark.parametrize('test_cfg', [dict(mode='whole'), SLIDE], ids=['whole', 'slide'])
@pytest.mark.parametrize('divisor', [None, 20])
@pytest.mark.parametrize('kind', ['plain', 'binary'])
def test_equivariant_network_gives_its_plain_prediction_whatever_the_padding(kind: str, divisor: int | None, test_cfg):
    padding = dict(test_cfg=dict(size_divisor=divisor)) if divisor else {}
    model = wrap(segmentor(PIXEL, kind, test_cfg=test_cfg, preprocessor=padding), MOVES)
    batch = make_batch(SIZE, SIZE)
    for found, expected in zip(predict(model, batch), predict(model.module, batch), strict=True):
        if kind == 'plain':
            found, expected = found.softmax(0), expected.softmax(0)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_padded_image_has_the_views_of_its_content():
    model = wrap(segmentor(preprocessor=dict(test_cfg=dict(size_divisor=32))), ALL)
    seen = []
    model.module.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    predict(model, make_batch((24, 20)))
    image = model.module.data_preprocessor(make_batch((24, 20)))['inputs'][..., :24, :20]
    assert len(seen) == len(ALL.views)
    for shown, view in zip(seen, ALL.views, strict=True):
        height, width = view.resized((24, 20))
        torch.testing.assert_close(shown[..., :height, :width], view.apply(image, model.pixels))
        assert not shown[..., height:, :].any() and not shown[..., width:].any()
        assert all(side % 32 == 0 for side in shown.shape[-2:])


@pytest.mark.parametrize('kind', ['plain', 'binary'])
def test_mean_of_image_and_mirror_image_is_that_of_two_predictions(kind: str):
    model, batch = wrap(segmentor(kind=kind), FLIPS), make_batch(SIZE)
    mirrored = {**batch, 'inputs': [image.flip(-1) for image in batch['inputs']]}
    if kind == 'binary':  # the saved ones are probabilities
        image, mirror = predict(model.module, batch)[0], predict(model.module, mirrored)[0].flip(-1)
        expected = 0.75 * image + 0.25 * mirror
        torch.testing.assert_close(predict(model, batch)[0], expected, atol=1e-4, rtol=0)
        assert torch.equal(labels(model, batch)[0].bool(), expected > 0.4)
        return
    image, mirror = predict(model.module, batch)[0].softmax(0), predict(model.module, mirrored)[0].flip(-1).softmax(0)
    torch.testing.assert_close(predict(model, batch)[0].exp(), 0.75 * image + 0.25 * mirror, atol=1e-4, rtol=0)


def test_larger_view_is_the_prediction_of_the_larger_image():
    model = wrap(segmentor(), ViewPolicy((View(size=1.5),), (1.0,)))
    batch = make_batch()
    images, _, _ = model.preprocess(copy.deepcopy(batch))
    larger = F.interpolate(images, (36, 48), mode='bilinear', align_corners=False)
    with torch.no_grad():
        logits = F.interpolate(model.module(larger), (36, 48), mode='bilinear', align_corners=False)
    expected = F.interpolate(logits.softmax(1), SIZE, mode='bilinear', align_corners=False)
    torch.testing.assert_close(predict(model, batch)[0].exp(), expected[0], atol=1e-4, rtol=0)


def test_views_of_a_model_with_clips_are_images_whose_clips_it_makes():
    model, clips = wrap(segmentor(kind='das'), FLIPS), []
    model.module.backbone.register_forward_pre_hook(lambda module, inputs: clips.append(inputs[0]))
    batch = make_batch()
    predict(model, batch)
    images, _, _ = model.preprocess(copy.deepcopy(batch))
    for clip, view in zip(clips, FLIPS.views, strict=True):
        torch.testing.assert_close(clip, model.module.data_preprocessor.to_clip(view.apply(images)))


def test_every_kind_of_view_runs_on_padded_clips_by_windows():
    padded = dict(test_cfg=dict(size_divisor=16))
    model = wrap(segmentor(kind='das', test_cfg=SLIDE, preprocessor=padded), ALL)
    found = predict(model, make_batch((20, 28), (20, 28)))
    assert [one.shape for one in found] == [(K, 20, 28)] * 2
    assert all(torch.allclose(one.exp().sum(0), torch.ones(()), atol=0.01) for one in found)


@pytest.mark.parametrize('kind', ['plain', 'das', 'binary'])
@pytest.mark.parametrize('policy', [FLIPS, ALL], ids=['flips', 'all'])
@pytest.mark.slow
def test_export_gives_the_mean_of_the_views(kind: str, policy: ViewPolicy):
    model, image = wrap(segmentor(kind=kind), policy), torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        expected = model(image)
        found = torch.export.export(model, (image,)).module()(image)
    assert expected.shape == (1, 1 if kind == 'binary' else K, *SIZE)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_checkpoint_of_the_plain_model_is_loaded(tmp_path):
    trained = MODELS.build(ConfigDict(segmentor()))
    save_checkpoint({'state_dict': trained.state_dict()}, str(tmp_path / 'plain.pth'))
    model = wrap(segmentor(), FLIPS)
    load_checkpoint(model, str(tmp_path / 'plain.pth'), strict=True)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.module.state_dict().values(), trained.state_dict().values(), strict=True)
    )


def test_training_and_depth_are_refused():
    with pytest.raises(ValueError, match='views are for tests'):
        wrap(segmentor(PIXEL))(torch.rand(1, 3, *SIZE), mode='loss')
    with pytest.raises(ValueError, match='the model is DepthEstimator'):
        wrap(segmentor(PIXEL, type='DepthEstimator'))


def test_colours_of_unknown_pixels_are_refused():
    with pytest.raises(ValueError, match='which value is white'):
        wrap(segmentor(PIXEL, preprocessor=dict(mean=[900.0] * 3)), ALL)
    with pytest.raises(ValueError, match='have 4 channels.*need RGB or grey'):
        wrap(segmentor(PIXEL)).check_views(ALL.views, channels=4)


def test_policy_of_another_kind_is_refused(tmp_path):
    Policy.random(2).save(tmp_path / 'clip.json')
    config = ConfigDict(type='mmdas.SegViewModel', module=segmentor(PIXEL), policy=str(tmp_path / 'clip.json'))
    with pytest.raises(PolicyError, match="'test-time' is expected"):
        MODELS.build(config)
