"""Colour operations see colours, whatever the pixels of an image mean."""

import pytest
import torch
from torch import Tensor

from mmdas.search.das import OPERATIONS, DASCell, Pixels, Policy, PolicyClip, PolicyEdge

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
COLOURS = [name for name, operation in OPERATIONS.items() if not (operation.geometric or operation.is_identity)]
# the last bit of a colour may fall on the other side of a step
STEPPED = ('posterize', 'equalize', 'solarize')


def random_colours(n: int = 2, size: tuple[int, int] = (9, 13)) -> Tensor:
    colours = torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (colours * 255).round() / 255


def normalise(colours: Tensor, max_value: float, order: str = 'rgb') -> tuple[Tensor, dict]:
    """Images as a network gets them, and the options that say so."""
    mean, std = ([value * max_value / 255 for value in values] for values in (MEAN, STD))
    images = colours.flip(1) if order == 'bgr' else colours
    mean_of, std_of = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (mean, std))
    return (images * max_value - mean_of) / std_of, dict(mean=mean, std=std, max_value=max_value, channel_order=order)


def denormalise(clip: Tensor, options: dict) -> Tensor:
    """Colours (B, T, 3, H, W) of a clip."""
    mean, std = (torch.tensor(options[key], dtype=torch.float64).view(3, 1, 1) for key in ('mean', 'std'))
    colours = (clip.unflatten(1, (-1, 3)) * std + mean) / options['max_value']
    return colours.flip(2) if options['channel_order'] == 'bgr' else colours


def policy_of(*names: str) -> Policy:
    """A chain of operations at full strength, padded by the border: what zero is differs."""
    edges = [PolicyEdge(node + 1, node + 2, name, OPERATIONS[name].high) for node, name in enumerate(names)]
    return Policy(3, len(names), tuple(edges), padding='border')


@pytest.mark.parametrize(('max_value', 'order'), [(255.0, 'rgb'), (255.0, 'bgr'), (1.0, 'rgb'), (65535.0, 'bgr')])
@pytest.mark.parametrize('name', COLOURS)
def test_frames_have_the_colours_of_those_of_the_raw_image(name: str, max_value: float, order: str) -> None:
    colours, policy = random_colours(), policy_of('rotate', name)
    images, options = normalise(colours, max_value, order)
    expected = PolicyClip(policy).eval()(colours).unflatten(1, (3, 3))
    frames = denormalise(PolicyClip(policy, **options).eval()(images), options)
    close = (frames - expected).abs() < 1e-5
    assert close.double().mean() > (0.98 if name in STEPPED else 1 - 1e-9)


@pytest.mark.parametrize('order', ['rgb', 'bgr'])
def test_a_cell_of_colour_operations_equals_that_of_the_raw_image(order: str) -> None:
    colours = random_colours()
    images, options = normalise(colours, 255.0, order)
    space = dict(num_frames=3, space=['brightness', 'saturation', 'scale'], padding='border', seed=1)
    expected = DASCell(**space).double()(colours).unflatten(1, (3, 3))
    frames = denormalise(DASCell(**space, **options).double()(images), options)
    torch.testing.assert_close(frames, expected, atol=1e-5, rtol=0)


def test_zero_is_the_colour_that_warps_uncover() -> None:
    images, options = normalise(torch.ones(1, 3, 8, 8, dtype=torch.float64), 255.0)
    policy = Policy(3, 2, (PolicyEdge(0, 2, 'brightness', -0.5), PolicyEdge(2, 3, 'translate_x', 0.5)))
    last = PolicyClip(policy, **options)(images).unflatten(1, (3, 3))[0, 2]
    assert (last[:, :, :4].abs() < 1e-6).all() and (last[:, :, 4:] - images[0, :, :, 4:]).abs().min() > 0.1


@pytest.mark.parametrize('shape', [(2, 3, 4, 5), (3, 2, 3, 4, 5), (2, 1, 4, 5)])
def test_scaled_images_come_back(shape: tuple[int, ...]) -> None:
    for order in ('rgb', 'bgr'):
        channels = shape[-3]
        pixels, images = Pixels(MEAN[:channels], STD[:channels], channel_order=order), torch.randn(shape)
        torch.testing.assert_close(pixels.unscale(pixels.scale(images)), images)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'mean': MEAN}, 'both mean and std'),
        ({'std': STD}, 'both mean and std'),
        ({'max_value': 0.0}, 'max_value.*0'),
        ({'channel_order': 'gbr'}, "channel_order.*'gbr'"),
    ],
)
def test_unusable_option_is_refused_at_once(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pixels(**options)
