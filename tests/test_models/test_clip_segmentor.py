"""Segmentors that make the clip of whatever their backbone is about to see."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmdas.models.data_preprocessors import image_to_clip, seg_data_preprocessor
from mmdas.models.data_preprocessors.content_mask import add_content_mask, split_content_mask
from mmdas.registry import MODELS
from mmdas.search.das import Policy, PolicyClip, PolicyEdge

T, K = 4, 3
CROP = (24, 32)
PREPROCESSOR = dict(type='mmdas.DASSegDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3)
RESNET = dict(type='ResNetV1c', depth=18, base_channels=8, stem_channels=8, strides=(1, 2, 1, 1))

pytestmark = pytest.mark.usefixtures('mmseg_scope')


@pytest.fixture(autouse=True, scope='module')
def identity_backbone():
    @MODELS.register_module(name='IdentityBackbone', force=True)
    class IdentityBackbone(nn.Module):
        """A network that is exactly equivariant: its features are the image, of a lower resolution if asked for."""

        def __init__(self, stride: int = 1) -> None:
            super().__init__()
            self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()

        def forward(self, images: Tensor) -> tuple[Tensor]:
            return (self.pool(images),)

    yield
    MODELS.module_dict.pop('IdentityBackbone')


def chain(*steps: tuple[str, float], **options) -> dict:
    edges = tuple(PolicyEdge(node + 1, node + 2, *step) for node, step in enumerate(steps))
    return Policy(T, len(steps), edges, **options).to_dict()


SHIFT, TURN = chain(('translate_x', 0.0625)), chain(('rotate', 5.0), ('scale', 0.05))


def build(
    backbone=RESNET, policy=None, cell=None, pooling='mean', test_cfg=None, fusion='mmdas.TemporalShift', **extra
):
    preprocessor = dict(PREPROCESSOR, num_frames=T, policy=policy, cell=cell, size=CROP, **extra)
    channels = 3 if backbone['type'] == 'mmdas.IdentityBackbone' else 64
    head = dict(type='FCNHead', in_channels=channels, in_index=-1, channels=channels, num_convs=0, num_classes=K)
    head.update(concat_input=False, dropout_ratio=0, align_corners=False)
    config = dict(
        type='mmdas.DASEncoderDecoder',
        data_preprocessor=preprocessor,
        backbone=dict(
            type='mmdas.FrameFusionBackbone', backbone=backbone, num_frames=T, fusion=fusion and dict(type=fusion)
        ),
        decode_head=dict(type='mmdas.TemporalPoolingHead', head=head, num_frames=T, pooling=pooling),
        test_cfg=test_cfg or dict(mode='whole'),
    )
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(config))
    model.init_weights()
    return model.eval()


def equivariant(**options):
    """The image's channels as logits."""
    model = build(dict(type='mmdas.IdentityBackbone', stride=options.pop('stride', 1)), fusion=None, **options)
    with torch.no_grad():
        model.decode_head.conv_seg.weight.copy_(torch.eye(3)[..., None, None])
        model.decode_head.conv_seg.bias.zero_()
    return model


def random_image(size=(48, 64), seed=0) -> Tensor:
    return torch.randint(256, (3, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def make_batch(images: list[Tensor]) -> dict:
    samples = []
    for image in images:
        size = tuple(image.shape[-2:])
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size))
        sample.gt_sem_seg = PixelData(data=(image[:1] // 86).long())
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


@torch.no_grad()
def logits(model, *images: Tensor) -> Tensor:
    results = model.test_step(make_batch(list(images)))
    return torch.stack([result.seg_logits.data for result in results])


SLIDE = dict(mode='slide', crop_size=CROP, stride=CROP)


@pytest.mark.parametrize('pooling', ['mean', 'aligned'])
@pytest.mark.parametrize('policy', [SHIFT, TURN], ids=['shift', 'turn'])
def test_windows_of_slide_inference_equal_the_windows_as_images(policy, pooling):
    model, image = build(policy=policy, pooling=pooling, test_cfg=SLIDE), random_image()
    whole = logits(model, image)
    for y in range(0, 48, CROP[0]):
        for x in range(0, 64, CROP[1]):
            window = (..., slice(y, y + CROP[0]), slice(x, x + CROP[1]))
            assert torch.equal(whole[window], logits(model, image[window].contiguous()))


def test_windows_that_reach_into_test_time_padding_have_the_clip_of_their_content():
    padded = build(policy=TURN, test_cfg=dict(SLIDE, crop_size=(24, 32)))
    seen = []
    padded.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    padded.data_preprocessor.test_cfg = dict(size_divisor=16)
    image = random_image((40, 52))  # padded to 48 x 64
    logits(padded, image)
    content = padded.data_preprocessor(make_batch([image]))['inputs'][..., 24:40, 32:52].contiguous()
    expected = padded.data_preprocessor.policy(content)
    last = seen[3].unflatten(0, (1, T)).flatten(1, 2) if seen[3].shape[1] == 3 else seen[3]
    assert torch.equal(last[..., :16, :20], expected)


def test_padded_images_of_a_training_have_the_clip_of_their_content():
    small, large = random_image((16, 20)), random_image(CROP, seed=1)
    model, seen = build(policy=TURN).train(), []
    model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    for images in ([small], [small, large], [large, small, small]):
        data = model.data_preprocessor(make_batch(images), training=True)
        assert data['inputs'].shape == (len(images), 3, *CROP)
        model(**data, mode='loss')
    alone, together, others = (clips.view(-1, T * 3, *CROP) for clips in seen)
    torch.testing.assert_close(alone[0], together[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(alone[0], others[1], atol=1e-5, rtol=0)
    content = (small.float()[None] - 120) / 60
    torch.testing.assert_close(alone[:, :, :16, :20], model.data_preprocessor.policy(content), atol=1e-5, rtol=0)
    assert not alone[:, :, 16:].any() and not alone[:, :, :, 20:].any()


@pytest.mark.parametrize('call', ['forward', 'loss'])
def test_images_that_are_mixed_count_whole_and_a_direct_loss_knows_the_padding(call):
    def clip(**options) -> Tensor:
        model, seen = build(policy=TURN, **options).train(), []
        model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        data = model.data_preprocessor(make_batch([random_image((16, 20))]), training=True)
        model(**data, mode='loss') if call == 'forward' else model.loss(**data)
        return seen[0].view(1, T * 3, *CROP)

    alone, mixed = clip(), clip(batch_augments=lambda images, samples: (images, samples))
    assert not alone[:, :, 16:].any()
    padded = nn.functional.pad((random_image((16, 20)).float()[None] - 120) / 60, (0, 12, 0, 8))
    torch.testing.assert_close(mixed, build(policy=TURN).data_preprocessor.policy(padded), atol=1e-5, rtol=0)
    assert mixed[:, :3, 16:].any()  # the frame turns about the centre of its whole place


@pytest.mark.parametrize('size', [(24, 32), (48, 64), (31, 77)])
def test_a_shift_is_as_many_pixels_in_every_image(size):
    model = equivariant(policy=SHIFT, pooling='mean')
    image = (random_image(size).float()[None] - 120) / 60
    clip = model.data_preprocessor.to_clip(image).unflatten(1, (T, 3))
    moved = 2  # 0.0625 of the crops' width of 32
    torch.testing.assert_close(clip[:, T // 2 + 1, :, :, moved:], image[..., :-moved], atol=1e-4, rtol=0)


def test_policy_keeps_the_pixels_of_its_search_in_a_training_of_other_crops():
    model = build(policy=chain(('translate_x', 0.1), reference_size=(40, 80)))
    assert model.data_preprocessor.policy.reference_size == (40, 80)
    image = torch.rand(1, 3, 24, 32)
    frames = model.data_preprocessor.to_clip(image).unflatten(1, (T, 3))
    torch.testing.assert_close(frames[:, 3, :, :, 8:], image[..., :-8])


@pytest.mark.parametrize('test_cfg', [None, SLIDE, dict(SLIDE, stride=(12, 16))], ids=['whole', 'slide', 'overlap'])
@pytest.mark.parametrize('policy', [SHIFT, chain(('translate_y', -0.125), ('translate_x', 0.0625))])
def test_aligned_prediction_of_an_equivariant_network_is_that_of_the_image(policy, test_cfg):
    image = random_image()
    aligned = logits(equivariant(policy=policy, pooling='aligned', test_cfg=test_cfg), image)
    torch.testing.assert_close(aligned, (image.float()[None] - 120) / 60, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('pooling', ['aligned', 'aligned_attention'])
@pytest.mark.parametrize('stride', [1, 2])
def test_aligned_prediction_keeps_edges_that_the_mean_blurs(stride, pooling):
    image = torch.zeros(3, 48, 64, dtype=torch.uint8)
    image[0, 10:30, 20:44] = 250
    sharp = (image[0] > 0).float()

    def blur(mode: str) -> float:
        model = equivariant(policy=chain(('rotate', 6.0), ('scale', 0.08)), pooling=mode, stride=stride)
        prediction = logits(model, image)[0, 0] * 60 + 120
        return (prediction / 250 - sharp).abs().mean().item()

    assert blur(pooling) < 0.5 * blur('mean')


def test_aligned_prediction_of_a_mirrored_image_is_mirrored():
    model, image = equivariant(policy=SHIFT, pooling='aligned'), random_image()
    torch.testing.assert_close(logits(model, image.flip(-1)).flip(-1), logits(model, image), atol=1e-4, rtol=1e-4)


def test_alignment_of_padded_images_knows_their_content():
    model = equivariant(policy=chain(('rotate', 4.0)), pooling='aligned').train()
    yy, xx = torch.meshgrid(torch.arange(16.0), torch.arange(20.0), indexing='ij')
    image = torch.stack([2 * xx + yy, xx + 3 * yy, yy]).to(torch.uint8)  # smooth: sampled alike everywhere
    data = model.data_preprocessor(make_batch([image]), training=True)
    inputs = add_content_mask(data['inputs'], [(16, 20)])
    with torch.no_grad():
        found = model.decode_head.forward(model.extract_feat(inputs))[..., 2:14, 2:18]
    expected = (image.float()[None] - 120) / 60
    torch.testing.assert_close(found, expected[..., 2:14, 2:18], atol=0.02, rtol=0)


@pytest.mark.parametrize('pooling', ['aligned', 'aligned_attention'])
@pytest.mark.parametrize('fusion', ['mmdas.GateShiftFuse', None])
@pytest.mark.parametrize('source', ['policy', 'cell'])
@pytest.mark.slow
def test_aligned_segmentor_learns(source, fusion, pooling):
    options = dict(policy=TURN) if source == 'policy' else dict(cell=dict(type='mmdas.DASCell', num_nodes=2))
    model = build(fusion=fusion, pooling=pooling, **options).train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.05))
    batch = make_batch([random_image((24, 32), seed) for seed in range(2)])
    losses = [model.train_step(copy.deepcopy(batch), wrapper)['loss'].item() for _ in range(4)]
    assert losses[-1] < losses[0]
    model(**model.data_preprocessor(batch, True), mode='loss')['decode.loss_ce'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_alignment_of_a_decided_chain_equals_that_of_its_policy():
    cell = MODELS.build(dict(type='mmdas.DASCell', num_frames=T, num_nodes=2, reference_size=CROP)).eval()
    for edge in range(len(cell.edges)):
        cell.choose(edge, (3, 1, 4, 2, 3)[edge])
    cell.keep_edges(2, [0]), cell.keep_edges(3, [4])
    maps = torch.rand(T, 2, K, 12, 16)
    expected = PolicyClip(cell.to_policy()).unwarp(maps, CROP, CROP)
    found = cell.unwarp(maps, CROP, CROP)
    inner = (..., slice(4, 8), slice(5, 11))  # the cell samples twice
    torch.testing.assert_close(found[inner], expected[inner], atol=0.35, rtol=0)
    ramp = torch.linspace(0, 1, 16).expand(T, 2, K, 12, 16)
    found, expected = (module.unwarp(ramp, CROP, CROP) for module in (cell, PolicyClip(cell.to_policy())))
    torch.testing.assert_close(found[inner], expected[inner], atol=1e-5, rtol=0)


def test_alignment_of_a_drawn_chain_undoes_what_was_drawn():
    space = dict(
        space=['translate_x', 'translate_y'], ranges=dict(translate_x=(0.125, 0.125), translate_y=(0.25, 0.25))
    )
    cell = dict(type='mmdas.DASCell', num_nodes=1, relaxation='gumbel', share_strength=True, **space)
    model = equivariant(cell=cell, pooling='aligned').train()
    model.data_preprocessor.cell.keep_edges(2, [0])
    image = (random_image(CROP).float()[None] - 120) / 60
    for _ in range(8):  # a draw of its own each
        torch.testing.assert_close(model(image), image, atol=1e-4, rtol=1e-4)
    copy.deepcopy(model)


def test_sums_of_several_warps_cannot_be_aligned():
    edges = (PolicyEdge(0, 2, 'rotate', 5.0), PolicyEdge(1, 2, 'identity', 0.0))
    policy = Policy(T, 1, edges).to_dict()
    with pytest.raises(ValueError, match='sums of 2 different warps.*edges_per_node=1'):
        build(policy=policy, pooling='aligned')
    colours = (PolicyEdge(0, 2, 'brightness', 0.1), PolicyEdge(1, 2, 'identity', 0.0), PolicyEdge(2, 3, 'rotate', 5.0))
    build(policy=Policy(T, 2, colours).to_dict(), pooling='aligned')  # every frame is in one place


def test_alignment_without_the_segmentor_says_what_it_needs():
    head = dict(type='FCNHead', in_channels=3, channels=3, num_convs=0, num_classes=K, concat_input=False)
    pooled = MODELS.build(dict(type='mmdas.TemporalPoolingHead', head=head, num_frames=T, pooling='aligned'))
    with pytest.raises(ValueError, match="model.type='mmdas.DASEncoderDecoder'"):
        pooled((torch.rand(T, 3, 8, 8),))


def test_a_data_preprocessor_without_clips_is_refused():
    with pytest.raises(ValueError, match='SegDataPreProcessor has none'):
        MODELS.build(
            dict(
                type='mmdas.DASEncoderDecoder',
                backbone=RESNET,
                decode_head=dict(type='FCNHead', in_channels=8, channels=8, num_classes=K),
            )
            | dict(data_preprocessor=dict(type='SegDataPreProcessor'))
        )


@pytest.mark.parametrize('channels', [1, 4, 12])
def test_images_of_other_channels_are_told_apart_from_frames(channels):
    model = build(policy=SHIFT)
    with pytest.raises(ValueError, match=f'images of {channels} channels came to a network of 3'):
        model(torch.rand(1, channels, *CROP))


@pytest.mark.parametrize(('policy', 'told'), [(TURN, 1), (SHIFT, 0)], ids=['turn', 'shift'])
def test_larger_clips_than_those_of_the_training_are_told_once(policy, told, monkeypatch):
    messages = []
    monkeypatch.setattr(image_to_clip, 'print_log', lambda message, *args: messages.append(message))
    model = build(policy=policy).train()
    model(**model.data_preprocessor(make_batch([random_image(CROP)]), True), mode='loss')
    model.eval()
    for size in ((24, 30), (48, 64), (48, 64)):
        logits(model, random_image(size))
    messages = [message for message in messages if message.startswith('clips of')]
    assert len(messages) == told
    assert all('clips of 48 x 64 pixels are tested, but were trained with 24 x 32' in message for message in messages)


def test_content_mask_shares_the_fate_of_the_image():
    images, sizes = torch.rand(3, 3, 8, 10), [(8, 10), (5, 7), (3, 10)]
    masked = add_content_mask(images, sizes)
    assert add_content_mask(images, None) is images
    back, found = split_content_mask(masked, 3)
    assert torch.equal(back, images) and found == sizes
    assert split_content_mask(masked[..., 4:, 6:], 3)[1] == [(4, 4), (1, 1), (0, 0)]


def test_moving_average_makes_its_own_clips():
    model, image = build(cell=dict(type='mmdas.DASCell', num_nodes=1)), random_image()
    average = ExponentialMovingAverage(model, momentum=0.5)
    before = logits(model, image)
    nn.init.normal_(model.data_preprocessor.cell.logits, std=5.0)
    assert torch.equal(logits(average.module, image), before)
    assert not torch.allclose(logits(model, image), before)


def test_exported_model_takes_an_image():
    model, image = equivariant(policy=TURN, pooling='aligned'), torch.rand(1, 3, *CROP)
    with torch.no_grad():
        expected = model(image)
        program = torch.export.export(model, (image,), strict=False)
        torch.testing.assert_close(program.module()(image), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('source', ['policy', 'cell'])
def test_sizes_that_a_training_fixes_travel_with_its_weights(source):
    options = dict(policy=TURN) if source == 'policy' else dict(cell=dict(type='mmdas.DASCell', num_nodes=1))
    trained = build(**options).train()
    before = {key: value.shape for key, value in trained.state_dict().items()}
    trained(**trained.data_preprocessor(make_batch([random_image(CROP)]), True), mode='loss')
    assert {key: value.shape for key, value in trained.state_dict().items()} == before  # averaged models copy it
    other = build(**options)
    other.data_preprocessor.image_to_clip.reference_size = None
    other.load_state_dict(trained.state_dict())
    assert other.data_preprocessor.image_to_clip.reference_size == CROP
    assert other.data_preprocessor.training_size == CROP


def test_copies_of_a_model_know_the_sizes_of_its_training():
    """An average of the weights is copied before the first batch, and it is what a checkpoint holds."""
    model = build(policy=SHIFT).train()
    model.data_preprocessor.image_to_clip.reference_size = None
    average = copy.deepcopy(model)
    model(**model.data_preprocessor(make_batch([random_image(CROP)]), True), mode='loss')
    average.eval()(torch.rand(1, 3, 48, 64))
    assert average.data_preprocessor.policy.reference_size == CROP
    assert average.data_preprocessor.settings() == model.data_preprocessor.settings()


def test_a_policy_without_reference_size_says_what_it_assumes(monkeypatch):
    messages = []
    monkeypatch.setattr(image_to_clip, 'print_log', lambda message, *args: messages.append(message))
    old = {key: value for key, value in SHIFT.items() if key != 'reference_size'} | {'schema_version': 1}
    build(policy=old)
    build(policy=TURN)  # nothing counts in it
    build(policy=chain(('translate_x', 0.1), reference_size=(40, 80)))
    assert messages == ['the policy has no reference_size: translate_x count in 24 x 32 pixels']


def test_weights_of_another_policy_do_not_bring_their_size():
    state = build(policy=TURN).state_dict()
    other = build(policy=SHIFT, accept_difference=True)
    other.data_preprocessor.policy.reference_size = (10, 12)
    other.load_state_dict(state)
    assert other.data_preprocessor.policy.reference_size == (10, 12)


def test_aligned_cascades_are_refused():
    with pytest.raises(ValueError, match='does not go with cascades'):
        head = dict(type='FCNHead', in_channels=64, channels=8, num_classes=K)
        pooled = dict(type='mmdas.TemporalPoolingHead', head=head, num_frames=T, pooling='aligned')
        MODELS.build(
            dict(
                type='mmdas.DASCascadeEncoderDecoder',
                num_stages=2,
                data_preprocessor=dict(PREPROCESSOR, num_frames=T),
                backbone=dict(type='mmdas.FrameFusionBackbone', backbone=RESNET, num_frames=T),
                decode_head=[pooled, pooled],
            )
        )


def test_a_model_that_takes_clips_is_told_of_windows_once(monkeypatch):
    messages = []
    monkeypatch.setattr(seg_data_preprocessor, 'print_log', lambda message, *args: messages.append(message))
    preprocessor = MODELS.build(dict(PREPROCESSOR, num_frames=T, policy=SHIFT)).eval()
    for _ in range(2):
        preprocessor(make_batch([random_image()]))
    assert len(messages) == 1 and "model.type='mmdas.DASEncoderDecoder'" in messages[0]


def test_a_policy_of_another_reference_size_is_told_from_that_of_the_checkpoint():
    state = build(policy=chain(('translate_x', 0.1), reference_size=(40, 80))).state_dict()
    build(policy=chain(('translate_x', 0.1), reference_size=(40, 80))).load_state_dict(state)
    with pytest.raises(ValueError, match=r'reference_size is \(40, 60\) and was \(40, 80\)'):
        build(policy=chain(('translate_x', 0.1), reference_size=(40, 60))).load_state_dict(state)
    turn = build(policy=chain(('rotate', 5.0), reference_size=(40, 80))).state_dict()
    build(policy=chain(('rotate', 5.0), reference_size=(40, 60))).load_state_dict(turn)  # nothing counts in it
