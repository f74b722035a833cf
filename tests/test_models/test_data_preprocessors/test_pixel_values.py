"""What pixels mean comes from the preprocessor and the data, or colour operations are refused."""

import pytest
import torch

from mmdas.ops.clip import clip_to_frames, split_frames
from mmdas.registry import MODELS
from mmdas.search.das import OPERATIONS, Policy, PolicyEdge

SEG, CLS = 'mmdas.DASSegDataPreProcessor', 'mmdas.DASClsDataPreprocessor'
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 55.0, 50.0]
COLOURS = [name for name, operation in OPERATIONS.items() if not (operation.geometric or operation.is_identity)]
STEPPED = ('posterize', 'equalize', 'solarize')  # the last bit may fall on the other side of a step


def policy(*names: str) -> dict:
    edges = tuple(PolicyEdge(i + 1, i + 2, name, OPERATIONS[name].high) for i, name in enumerate(names))
    return Policy(3, len(names), edges).to_dict()


def build(kind=SEG, names=('brightness',), **options):
    return MODELS.build(dict(type=kind, num_frames=3, policy=policy(*names), **options)).eval()


def random_image(channels=3) -> torch.Tensor:
    return torch.randint(256, (channels, 12, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def frames(preprocessor, image) -> torch.Tensor:
    """(T, C, H, W), normalised."""
    return split_frames(clip_to_frames(preprocessor(dict(inputs=[image]))['inputs'], 3), 3)[0]


@pytest.mark.parametrize(('scale', 'stated'), [(1 / 255, {}), (257, {'max_value': 65535}), (4, {'max_value': 1020})])
@pytest.mark.parametrize('name', COLOURS)
def test_images_of_another_range_have_the_same_frames(name, scale, stated):
    image = random_image()
    eight_bits = build(names=(name,), mean=MEAN, std=STD)
    other = build(names=(name,), mean=[v * scale for v in MEAN], std=[v * scale for v in STD], **stated)
    close = (frames(other, image.float() * scale) - frames(eight_bits, image)).abs() < 1e-3
    assert close.float().mean() > (0.98 if name in STEPPED else 0.9999)


@pytest.mark.parametrize(
    ('network', 'order'),
    [(dict(bgr_to_rgb=True), 'rgb'), ({}, 'bgr'), (dict(rgb_to_bgr=True, channel_order='bgr'), 'bgr')],
)
@pytest.mark.parametrize('name', ['saturation', 'contrast', 'noise'])
def test_networks_of_either_order_see_the_same_colours(name, network, order):
    image = random_image()  # B, G, R, or R, G, B for the last one
    image = image.flip(0) if network.get('rgb_to_bgr') else image
    found = frames(build(names=(name,), **network), image)
    found = found if order == 'rgb' else found.flip(1)
    expected = frames(build(names=(name,), bgr_to_rgb=True), random_image())
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_classification_says_the_order_or_refuses_operations_that_need_it():
    with pytest.raises(ValueError, match='saturation must know the order.*channel_order'):
        build(CLS, ['saturation'], mean=MEAN, std=STD)
    build(CLS, ['brightness'], mean=MEAN, std=STD)
    rgb = build(CLS, ['saturation'], mean=MEAN, std=STD, channel_order='rgb')
    bgr = build(CLS, ['saturation'], mean=MEAN[::-1], std=STD[::-1], channel_order='bgr')
    image = random_image()
    torch.testing.assert_close(frames(bgr, image.flip(0)).flip(1), frames(rgb, image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('kind', [SEG, CLS])
@pytest.mark.parametrize(('mean', 'std'), [(3500.0, 1500.0), (-1.0, 1.0), (300.0, 50.0)])
def test_a_normalisation_that_tells_no_range_is_refused_with_its_operations(kind, mean, std):
    numbers = rf'mean=\[{mean}.*std=\[{std}.*brightness, solarize must know.*max_value'
    with pytest.raises(ValueError, match=numbers):
        build(kind, ['brightness', 'rotate', 'solarize'], mean=[mean] * 3, std=[std] * 3)
    build(kind, ['rotate'], mean=[mean] * 3, std=[std] * 3)  # warps need no colours


@pytest.mark.parametrize('kind', [SEG, CLS])
@pytest.mark.parametrize(
    ('options', 'image'),
    [
        (dict(mean=MEAN, std=STD), random_image().float() * 40),
        (dict(mean=MEAN, std=STD), random_image().float() / 255),
        (dict(mean=MEAN, std=STD), random_image().float() - 120),
        (dict(mean=MEAN, std=STD), random_image().int() * 257),
        (dict(mean=[0.4] * 3, std=[0.2] * 3), random_image()),
        ({}, random_image().float() / 255),
    ],
    ids=['16 bits', 'floats', 'negative', '16-bit integers', '8 bits for floats', 'floats, not normalised'],
)
def test_pixels_of_another_range_than_the_normalisation_are_refused(kind, options, image):
    with pytest.raises(ValueError, match='pixels of torch.*brightness take .* for white; set .*max_value'):
        frames(build(kind, **options), image)
    frames(build(kind, ['rotate'], **options), image)


@pytest.mark.parametrize('kind', [SEG, CLS])
def test_images_of_four_channels_take_all_operations_but_those_of_grey(kind):
    options = dict(mean=[100.0], std=[50.0])  # MMSegmentation takes one number or three
    assert frames(build(kind, ['brightness', 'noise'], **options), random_image(4)).shape == (3, 4, 12, 16)
    with pytest.raises(ValueError, match='images have 4 channels, but contrast, saturation need RGB or grey'):
        frames(build(kind, ['contrast', 'saturation'], **options), random_image(4))
    with pytest.raises(ValueError, match='images have 4 channels, but contrast need RGB or grey'):
        build(CLS, ['contrast'], mean=[100.0] * 4, std=[50.0] * 4)
    assert frames(build(kind, ['contrast', 'saturation'], **options), random_image(1)).shape == (3, 1, 12, 16)


@pytest.mark.parametrize('kind', [SEG, CLS])
def test_images_of_other_channels_than_the_normalisation_are_told(kind):
    with pytest.raises(
        ValueError, match='images have 4 channels, but data_preprocessor.mean has 3; correct color_type'
    ):
        frames(build(kind, ['rotate'], mean=MEAN, std=STD), random_image(4))
    grey = frames(build(kind, ['rotate'], mean=MEAN, std=STD), random_image(1))
    assert grey.shape == (3, 3, 12, 16)  # as the parents do


@pytest.mark.parametrize('training', [True, False])
def test_padded_images_of_a_classification_have_the_clip_of_their_content(training):
    preprocessor = build(CLS, ['rotate', 'contrast'], mean=MEAN, std=STD, channel_order='rgb').train(training)
    small = random_image()
    large = torch.randint(256, (3, 20, 24), dtype=torch.uint8)
    alone = preprocessor(dict(inputs=[small]), training)['inputs']
    together = preprocessor(dict(inputs=[large, small]), training)['inputs']
    torch.testing.assert_close(together[1, :, :12, :16], alone[0], atol=1e-5, rtol=0)
    assert not together[1, :, 12:].any()


def test_first_crops_of_a_classification_are_what_shifts_count_in():
    preprocessor = build(CLS, ['translate_x'], mean=MEAN, std=STD).train()
    preprocessor(dict(inputs=[random_image()]), True)
    assert preprocessor.policy.reference_size == (12, 16)
    preprocessor(dict(inputs=[torch.zeros(3, 20, 24)]), True)
    assert preprocessor.policy.reference_size == (12, 16)
