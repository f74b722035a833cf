"""Segmentors whose frames part behind a stage of the backbone."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmdas.registry import MODELS
from mmdas.search.das import Policy, PolicyEdge

T, K = 4, 3
CROP = (24, 32)
RESNET = dict(type='ResNetV1c', depth=18, base_channels=8, stem_channels=8, strides=(1, 2, 1, 1))
POLICY = dict(policy=Policy(T, 2, (PolicyEdge(1, 2, 'rotate', 5.0), PolicyEdge(2, 3, 'translate_x', 0.0625))).to_dict())
SLIDE = dict(mode='slide', crop_size=CROP, stride=CROP)

pytestmark = pytest.mark.usefixtures('mmseg_scope')


class Stages(nn.Module):
    """Features that are the means of 4 x 4 pixels, in two stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.AvgPool2d(4), nn.Identity()

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.body(self.stem(images)),)


def build(source=POLICY, part_after='layer1', backbone=None, pooling='mean', test_cfg=None, fusion=True, channels=64):
    head = dict(type='FCNHead', in_channels=channels, in_index=-1, channels=channels, num_convs=0, num_classes=K)
    head.update(concat_input=False, dropout_ratio=0, align_corners=False)
    wrapped = dict(type='mmdas.FrameFusionBackbone', backbone=backbone or RESNET, part_after=part_after)
    config = dict(
        type='mmdas.DASEncoderDecoder',
        data_preprocessor=dict(
            type='mmdas.DASSegDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3, num_frames=T, size=CROP, **source
        ),
        backbone=dict(**wrapped, fusion=dict(type='mmdas.TemporalShift') if fusion else None),
        decode_head=dict(type='mmdas.TemporalPoolingHead', head=head, pooling=pooling),
        test_cfg=test_cfg or dict(mode='whole'),
    )
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(config)).eval()


def equivariant(part_after, **options):
    """Means of 4 x 4 pixels as logits."""
    model = build(backbone=Stages(), part_after=part_after, fusion=False, channels=3, **options)
    with torch.no_grad():
        model.decode_head.conv_seg.weight.copy_(torch.eye(3)[..., None, None])
        model.decode_head.conv_seg.bias.zero_()
    return model


def random_image(size=(48, 64)) -> Tensor:
    return torch.randint(256, (3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def make_batch(images: list[Tensor]) -> dict:
    samples = []
    for image in images:
        size = tuple(image.shape[-2:])
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size))
        sample.gt_sem_seg = PixelData(data=(image[:1] // 86).long())
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


@torch.no_grad()
def logits(model, image: Tensor) -> Tensor:
    return model.test_step(make_batch([image]))[0].seg_logits.data


@pytest.mark.parametrize('pooling', ['mean', 'aligned'])
def test_windows_of_slide_inference_equal_the_windows_as_images(pooling):
    model, image = build(pooling=pooling, test_cfg=SLIDE), random_image()
    whole = logits(model, image)
    for y in range(0, 48, CROP[0]):
        for x in range(0, 64, CROP[1]):
            window = (..., slice(y, y + CROP[0]), slice(x, x + CROP[1]))
            assert torch.equal(whole[window], logits(model, image[window].contiguous()))


def shift(strength):
    return dict(policy=Policy(T, 1, (PolicyEdge(0, 2, 'translate_x', strength),), reference_size=CROP).to_dict())


@pytest.mark.parametrize('pooling', ['mean', 'aligned'])
@pytest.mark.parametrize('size', [CROP, (48, 64)])
def test_parted_network_that_is_equivariant_predicts_what_the_whole_clip_does(pooling, size):
    # 4 pixels of a crop, and of every other size: a cell. Zero outside the image is zero outside the map.
    models = [equivariant(place, source=shift(0.125), pooling=pooling) for place in (None, 'stem')]
    whole, parted = (logits(model, random_image(size)) for model in models)
    torch.testing.assert_close(parted, whole)
    plain = logits(equivariant(None, source={}), random_image(size))
    if pooling == 'aligned':
        torch.testing.assert_close(parted, plain)
    else:
        assert (parted - plain).abs().max() > 0.1


@pytest.mark.parametrize('pooling', ['mean', 'aligned_attention'])
@pytest.mark.parametrize('source', [POLICY, dict(cell=dict(type='mmdas.DASCell', num_nodes=2))], ids=['policy', 'cell'])
def test_parted_segmentor_learns(source, pooling):
    model = build(source, pooling=pooling).train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.05))
    batch = make_batch([random_image(CROP), random_image((20, 28))])  # one is padded
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    losses = [model.train_step(batch, wrapper)['loss'].item() for _ in range(6)]
    assert losses[-1] < losses[0]
    still = [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]
    assert all('score.bias' in name for name in still)  # a softmax does not know it


def test_outputs_of_before_the_place_are_made_frames_too():
    images, model = torch.rand(2, 3, *CROP), build(part_after='layer2')
    early, *others = model.extract_feat(images)
    assert {len(output) for output in others} == {2 * T}
    model.data_preprocessor.choose_frames()
    expected = model.data_preprocessor.maps_to_clip(early.unflatten(0, (2, T))[:, T // 2], CROP)
    assert torch.equal(early.unflatten(0, (2, T)).flatten(1, 2), expected)
    assert not torch.equal(early[0], early[T // 2])


def test_exported_model_takes_an_image():
    model, image = equivariant('stem', source=POLICY), torch.rand(1, 3, *CROP)
    with torch.no_grad():
        expected = model(image)
        program = torch.export.export(model, (image,), strict=False)
        torch.testing.assert_close(program.module()(image), expected, atol=1e-5, rtol=1e-5)
