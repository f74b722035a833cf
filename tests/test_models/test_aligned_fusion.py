"""Models whose fusions take the features of other frames in a frame's own coordinates."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmdas.apis import ConversionError, DASOptions, convert, load_config
from mmdas.models.aligned_fusions import aligned_fusions
from mmdas.models.settings import KEY, DifferenceError
from mmdas.ops.clip import frames_to_clip
from mmdas.registry import MODELS
from mmdas.search.das import Policy, PolicyEdge

T, K = 3, 4
FUSIONS = ('mmdas.TemporalShift', 'mmdas.GateShift', 'mmdas.GateShiftFuse')
PIXELS = dict(mean=[120.0] * 3, std=[60.0] * 3)
CROP = (24, 32)


def chain(*steps: tuple[str, float], **options) -> dict:
    edges = tuple(PolicyEdge(node + 1, node + 2, *step) for node, step in enumerate(steps))
    return Policy(options.pop('frames', T), len(steps), edges, **options).to_dict()


TURN, SHIFT, STILL = chain(('rotate', 8.0), ('scale', 0.1)), chain(('translate_x', 0.125)), chain(('rotate', 0.0))
SUM = Policy(T, 1, (PolicyEdge(0, 2, 'rotate', 5.0), PolicyEdge(1, 2, 'identity', 0.0))).to_dict()


def backbone(kind: str, scope: str, aligned: bool, frames: int = T, **options) -> dict:
    plain = dict(type=f'{scope}.ResNet', depth=18, num_stages=1, base_channels=16, stem_channels=16)
    plain.update(strides=(1,), dilations=(1,), out_indices=(0,))
    fusion = dict(type=kind, aligned=aligned)
    return dict(type='mmdas.FrameFusionBackbone', backbone=plain, num_frames=frames, fusion=fusion, **options)


def classifier(kind=FUSIONS[0], aligned=True, policy=TURN, model='mmdas.DASImageClassifier', frames=T, **extra):
    head = dict(type='mmpretrain.LinearClsHead', num_classes=K, in_channels=16, topk=(1,))
    any_frames = dict(any_frames=True) if extra.get('frame_dropout') else {}
    return initialised(
        dict(
            type=model,
            data_preprocessor=dict(
                type='mmdas.DASClsDataPreprocessor', num_frames=frames, policy=policy, **PIXELS, **extra
            ),
            backbone=backbone(kind, 'mmpretrain', aligned, frames, **any_frames),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(type='mmdas.TemporalPoolingClsHead', num_frames=frames, head=head, **any_frames),
        )
    )


def segmentor(aligned=True, policy=TURN, test_cfg=None):
    head = dict(type='mmseg.FCNHead', in_channels=16, in_index=0, channels=16, num_convs=0, num_classes=K)
    head.update(concat_input=False, dropout_ratio=0, align_corners=False)
    return initialised(
        dict(
            type='mmdas.DASEncoderDecoder',
            data_preprocessor=dict(
                type='mmdas.DASSegDataPreProcessor', num_frames=T, policy=policy, size=CROP, **PIXELS
            ),
            backbone=backbone(FUSIONS[0], 'mmseg', aligned),
            decode_head=dict(type='mmdas.TemporalPoolingHead', num_frames=T, head=head),
            test_cfg=test_cfg or dict(mode='whole'),
        )
    )


def initialised(config: dict) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(copy.deepcopy(config)))
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(std=0.1)
    for name, parameter in model.named_parameters():
        if 'fusion' in name:
            nn.init.normal_(parameter, std=0.3)  # gates that are open
    return model.eval()


def images(count=2, size=CROP, seed=0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, *size), generator=generator, dtype=torch.uint8)


@torch.no_grad()
def features(model: nn.Module, batch: list[Tensor] | Tensor) -> Tensor:
    inputs = model.data_preprocessor(dict(inputs=batch))['inputs']
    found = model.extract_feat(inputs, stage='backbone') if hasattr(model, 'head') else model.extract_feat(inputs)
    return found[-1]


@pytest.mark.parametrize('kind', FUSIONS)
def test_frames_of_a_shifted_image_are_fused_as_equal_frames(kind):
    """The network is equivariant to shifts by its stride, away from the borders."""
    model = classifier(kind, policy=chain(('translate_x', 4 / 96)))
    image = torch.zeros(1, 3, 96, 96)
    image[..., 30:66, 30:66] = torch.rand(1, 3, 36, 36)
    frames = model.data_preprocessor.to_clip(image).unflatten(1, (T, 3))[0]
    with torch.no_grad():
        aligned = model.extract_feat(frames_to_clip(frames, T), stage='backbone')[-1]
        for module in aligned_fusions(model):
            module.aligned = False
        alike = [model.backbone(frame.repeat(T, 1, 1)[None])[-1][t] for t, frame in enumerate(frames)]
        displaced = model.backbone(frames_to_clip(frames, T))[-1]
    inner = (..., slice(6, -6), slice(6, -6))  # of 24 x 24
    expected, scale = torch.stack(alike)[inner], displaced[inner].abs().max()
    assert (aligned[inner] - expected).abs().max() < 1e-4 * scale
    assert (displaced[inner] - expected).abs().max() > 1e-2 * scale


@pytest.mark.parametrize('kind', FUSIONS)
def test_frames_in_one_place_are_fused_as_ever(kind):
    for policy in (STILL, None, chain(('brightness', 0.2))):
        found, expected = (features(classifier(kind, aligned, policy), images()) for aligned in (True, False))
        assert torch.equal(found, expected)
    found, expected = (features(classifier(kind, aligned), images()) for aligned in (True, False))
    assert not torch.allclose(found, expected)


def test_a_classifier_learns_and_its_average_predicts_alike():
    model = classifier(FUSIONS[2]).train()
    batch = dict(inputs=images(), data_samples=[DataSample().set_gt_label(label) for label in (0, 3)])
    average = ExponentialMovingAverage(model, momentum=0.5)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.02))
    losses = [model.train_step(copy.deepcopy(batch), wrapper)['loss'].item() for _ in range(4)]
    assert losses[-1] < losses[0]
    average.update_parameters(model)
    own = aligned_fusions(average.module)
    assert own and not {id(module) for module in own} & {id(module) for module in aligned_fusions(model)}
    average.module.load_state_dict(model.state_dict())
    found, expected = (features(one.eval(), images()) for one in (average.module, model))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_padded_images_are_aligned_by_their_own_content():
    model = classifier(pad_size_divisor=32)
    batch = [images(1, size)[0] for size in ((32, 32), (20, 28), (32, 32))]
    whole = features(model, batch).unflatten(0, (-1, T))
    for place, image in enumerate(batch):
        torch.testing.assert_close(whole[place], features(model, [image]), atol=1e-4, rtol=1e-4)


def test_fewer_frames_are_aligned_by_their_own_warps():
    model = classifier(frame_dropout=[2])
    model.data_preprocessor.used_frames = 2
    of_two = classifier(policy=chain(('rotate', 8.0), ('scale', 0.1), frames=2), frames=2)
    weights = {key: value for key, value in model.state_dict().items() if not key.endswith(KEY)}
    of_two.load_state_dict(weights, strict=False)
    torch.testing.assert_close(features(model, images()), features(of_two, images()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('policy', [SHIFT, TURN], ids=['shift', 'turn'])
def test_windows_of_slide_inference_equal_the_windows_as_images(policy):
    model = segmentor(policy=policy, test_cfg=dict(mode='slide', crop_size=CROP, stride=CROP))
    image = images(1, (48, 64))[0]
    whole = predicted(model, image)
    for y in range(0, 48, CROP[0]):
        window = (..., slice(y, y + CROP[0]), slice(0, CROP[1]))
        assert torch.equal(whole[window], predicted(model, image[window].contiguous()))
    assert not torch.allclose(whole, predicted(segmentor(False, policy, model.test_cfg), image))


def predicted(model: nn.Module, image: Tensor) -> Tensor:
    size = tuple(image.shape[-2:])
    sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size))
    sample.gt_sem_seg = PixelData(data=(image[:1] // 86).long())
    with torch.no_grad():
        return model.test_step(dict(inputs=[image], data_samples=[sample]))[0].seg_logits.data


def test_views_are_aligned_each_by_itself():
    model = segmentor()
    tta = MODELS.build(dict(type='mmdas.SegTTAModel', module=model))
    image = images(1)[0]
    views = [image, image.flip(-1)]
    samples = []
    for flip in (False, True):
        meta = dict(img_shape=CROP, ori_shape=CROP, pad_shape=CROP, flip=flip, flip_direction='horizontal', img_path='')
        samples.append([SegDataSample(metainfo=meta)])
    with torch.no_grad():
        (found,) = tta.test_step(dict(inputs=[[view] for view in views], data_samples=samples))
    first, second = (predicted(model, view).softmax(0) for view in views)
    expected = (first + second.flip(-1)).argmax(0, keepdim=True)
    assert (found.pred_sem_seg.data == expected).float().mean() > 0.99


@pytest.mark.slow
def test_an_exported_segmentor_predicts_alike():
    model, batch = segmentor(), torch.rand(1, 3, *CROP)
    with torch.no_grad():
        expected = model(batch)
        program = torch.export.export(model, (batch,), strict=False)
        torch.testing.assert_close(program.module()(batch), expected, atol=1e-5, rtol=1e-5)


def test_the_option_is_in_the_record():
    state = classifier().state_dict()
    classifier().load_state_dict(state)
    with pytest.raises(DifferenceError, match=r'backbone.fusion.aligned is False and was True'):
        classifier(aligned=False).load_state_dict(state)


def test_frames_without_a_single_warp_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match='aligned=True .* sums of 2 different warps.*edges_per_node=1.*--fusion tsm'):
        classifier(policy=SUM)
    with pytest.raises(ValueError, match='sums of 2 different warps'):
        segmentor(policy=SUM)
    with pytest.raises(ValueError, match='mixtures of many; search without it'):
        classifier(policy=None, cell=dict(type='mmdas.DASCell'))
    classifier(aligned=False, policy=SUM)


def test_models_that_hand_over_no_warps_are_told():
    model = classifier(model='mmpretrain.ImageClassifier')
    with pytest.raises(ValueError, match="model.type to 'mmdas.DASImageClassifier'"):
        features(model, images())


def test_conversion_searches_a_chain_and_trains_with_alignment():
    plain, options = load_config('resnet18_8xb16_cifar10'), DASOptions(T, 'aligned-tsm', policy='p.json')
    search, das = (convert(plain, method, options) for method in ('search', 'das'))
    assert das.model.type == 'mmdas.DASImageClassifier'
    assert das.model.backbone.fusion == dict(type='mmdas.TemporalShift', aligned=True)
    assert search.model.backbone.fusion == dict(type='mmdas.TemporalShift', aligned=False)
    assert search.train_cfg.selection.edges_per_node == 1
    assert convert(plain, 'das', DASOptions(T, 'tsm', policy='p.json')).model.type == 'ImageClassifier'
    with pytest.raises((ConversionError, ValueError), match='aligned-tsm'):
        DASOptions(T, 'aligned-none')
