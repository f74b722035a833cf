"""Batches whose images get different operations, canvases and small batches."""

import pytest
import torch
from augment_images import MAGNITUDES, STILL, apply, random_images, random_labels

from mmdas.search.augmentation import AUGMENT_OPERATIONS, Canvas, Drawn, apply_drawn

NAMES = tuple(STILL)


def random_draws(count: int, slots: int, seed: int = 0) -> Drawn:
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(-1, len(NAMES), (count, slots), generator=generator)
    strengths = torch.tensor([MAGNITUDES.get(name, 0.0) for name in NAMES])
    signed = torch.tensor([AUGMENT_OPERATIONS[name].signed for name in NAMES])
    sign = torch.where(signed[indices] & (torch.rand(count, slots, generator=generator) < 0.5), -1.0, 1.0)
    return Drawn(NAMES, indices, sign * strengths[indices])


@pytest.mark.parametrize('seed', range(3))
def test_a_batch_gives_what_its_images_give_alone(seed: int) -> None:
    images, labels, drawn = random_images(40, (13, 18)), random_labels(40, (13, 18)), random_draws(40, 3, seed)
    changed, moved = apply_drawn(images, labels, drawn)
    for n in range(40):
        one = Drawn(NAMES, drawn.indices[n : n + 1], drawn.magnitudes[n : n + 1])
        alone, label = apply_drawn(images[n : n + 1], labels[n : n + 1], one)
        torch.testing.assert_close(changed[n : n + 1], alone, atol=2e-6, rtol=0)
        assert torch.equal(moved[n : n + 1], label)


def test_slots_follow_each_other() -> None:
    images, labels = random_images(), random_labels()
    sequence = [('rotate', 20.0), ('invert', 0.0), ('translate_x', 0.3), ('posterize', 2.0)]
    changed, moved = apply_drawn(images, labels, Drawn.same(sequence, 2))
    for name, magnitude in sequence:
        images, labels = apply(name, images, magnitude, labels)
    torch.testing.assert_close(changed, images)
    assert torch.equal(moved, labels)


@pytest.mark.parametrize('drawn', [Drawn.same([], 2), Drawn.same([('identity', 0.0)], 2)])
def test_nothing_drawn_gives_the_batch_itself(drawn: Drawn) -> None:
    images, labels = random_images(), random_labels()
    assert apply_drawn(images, labels, drawn) == (images, labels)


def test_an_empty_batch_stays_empty() -> None:
    images, labels = torch.empty(0, 3, 8, 9), torch.empty(0, 1, 8, 9, dtype=torch.long)
    changed, moved = apply_drawn(images, labels, Drawn.same([('rotate', 20.0), ('invert', 0.0)], 0))
    assert changed.shape == images.shape and moved.shape == labels.shape


def test_the_gradient_of_each_image_is_its_own() -> None:
    images, drawn = random_images(6, (8, 8)).requires_grad_(), random_draws(6, 2, 4)
    weights = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    (whole,) = torch.autograd.grad((apply_drawn(images, None, drawn)[0] * weights).sum(), images)
    for n in range(6):
        one = Drawn(NAMES, drawn.indices[n : n + 1], drawn.magnitudes[n : n + 1])
        alone = images[n : n + 1].detach().requires_grad_()
        (grad,) = torch.autograd.grad((apply_drawn(alone, None, one)[0] * weights[n]).sum(), alone)
        torch.testing.assert_close(whole[n : n + 1], grad, atol=1e-4, rtol=0)


@pytest.mark.parametrize('fill', [0.0, 0.25, (0.1, 0.6, 0.9)])
def test_numbers_fill_what_is_uncovered(fill: object) -> None:
    changed, _ = apply('translate_x', random_images(size=(10, 20)), 0.5, fill=fill)
    expected = torch.tensor(fill if isinstance(fill, tuple) else [fill] * 3).view(3, 1, 1)
    torch.testing.assert_close(changed[..., :10], expected.expand(2, 3, 10, 10), atol=1e-6, rtol=0)


def test_border_and_reflection_continue_the_image() -> None:
    images = random_images(size=(10, 20))
    border, _ = apply('translate_x', images, 0.25, fill='border')
    torch.testing.assert_close(border[..., :5], images[..., :1].expand(2, 3, 10, 5), atol=1e-5, rtol=0)
    mirrored, _ = apply('translate_x', images, 0.25, fill='reflection')
    torch.testing.assert_close(mirrored[..., :5], images[..., :5].flip(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize('fill', [(0.1, 0.2), (0.0, 0.0)])
def test_a_fill_for_other_channels_is_refused(fill: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match='fill has 2 values, the images have 3 channels'):
        apply('rotate', random_images(), 10.0, fill=fill)


@pytest.mark.parametrize(
    'fill', [None, True, -0.1, 1.5, float('nan'), 10**400, '', 'zeros', 'mean', (), ('a',), ([0.1],), {}, (True,)]
)
def test_an_unusable_fill_is_refused(fill: object) -> None:
    with pytest.raises(ValueError, match='fill must be a number in .0, 1., one for each channel, or one of'):
        Canvas(fill=fill)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'interpolation': 'bicubic'}, "interpolation must be one of .*'bicubic'"),
        ({'interpolation': None}, 'interpolation must be one of'),
        ({'ignore_index': 2.5}, 'ignore_index must be an integer'),
        ({'ignore_index': 2**40}, 'ignore_index must be an integer, at most'),
    ],
)
def test_other_fields_of_a_canvas_are_checked(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Canvas(**options)
