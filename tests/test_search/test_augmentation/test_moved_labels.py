"""Label maps go where the pixels go."""

import pytest
import torch
from augment_images import MAGNITUDES, STILL, WARPS, apply, random_images, random_labels

from mmdas.search.augmentation import AUGMENT_OPERATIONS, Canvas, Drawn, apply_drawn

GEOMETRIC = [name for name, operation in AUGMENT_OPERATIONS.items() if operation.geometric]
PALETTE = torch.rand(6, 3, generator=torch.Generator().manual_seed(5))


def paint(labels: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) -> (N, 3, H, W), a colour for each class."""
    return PALETTE[labels.squeeze(1).long()].movedim(-1, 1)


def test_geometric_operations_are_the_warps_and_the_flips() -> None:
    assert set(GEOMETRIC) == {*WARPS, 'horizontal_flip', 'vertical_flip'}


@pytest.mark.parametrize('name', GEOMETRIC)
@pytest.mark.parametrize('sign', [-1, 1])
@pytest.mark.parametrize('size', [(20, 30), (17, 9)])
def test_labels_of_a_painted_image_stay_with_their_colours(name: str, sign: int, size: tuple[int, int]) -> None:
    labels = random_labels(3, size)
    magnitude = sign * MAGNITUDES.get(name, 0)
    images, moved = apply(name, paint(labels), magnitude, labels, interpolation='nearest', fill=0.0)
    covered = moved != 255
    assert torch.equal(images, torch.where(covered, paint(moved.where(covered, 0)), 0))
    assert moved.dtype == labels.dtype
    assert set(moved[covered].tolist()) <= set(labels.flatten().tolist())


@pytest.mark.parametrize('name', WARPS)
def test_bilinear_images_have_the_colour_of_the_label_within_a_class(name: str) -> None:
    labels = random_labels(3, (40, 40)).repeat_interleave(3, -1).repeat_interleave(3, -2)
    one_hot = torch.nn.functional.one_hot(labels.squeeze(1), 6).movedim(-1, 1).float()
    images, moved = apply(name, one_hot, MAGNITUDES[name], labels, fill=0.0)
    pure = images.amax(1, keepdim=True) > 0.999
    assert pure.float().mean() > 0.3
    assert torch.equal(images.argmax(1, keepdim=True)[pure], moved[pure])


@pytest.mark.parametrize('name', ['translate_x', 'translate_y'])
@pytest.mark.parametrize('pixels', [-3, 4])
def test_what_a_shift_uncovers_is_ignored_and_nothing_else(name: str, pixels: int) -> None:
    labels = torch.full((1, 1, 16, 16), 3)
    _, moved = apply(name, torch.rand(1, 3, 16, 16), pixels / 16, labels)
    ignored = (moved == 255)[0, 0]
    strip = torch.zeros(16, 16, dtype=torch.bool)
    strip.select(1 if name == 'translate_x' else 0, 0).fill_(True)
    lines = range(pixels) if pixels > 0 else range(16 + pixels, 16)
    expected = torch.zeros(16, dtype=torch.bool)
    expected[list(lines)] = True
    assert torch.equal(ignored.any(0 if name == 'translate_x' else 1), expected)
    assert ignored.sum() == abs(pixels) * 16


@pytest.mark.parametrize('pixels', [0.5, -2.5])
@pytest.mark.parametrize('axis', ['x', 'y'])
def test_a_shift_by_half_a_pixel_keeps_every_label_once(axis: str, pixels: float) -> None:
    labels = torch.arange(16.0).expand(1, 1, 16, 16).clone()
    labels = labels if axis == 'x' else labels.mT.contiguous()
    _, moved = apply(f'translate_{axis}', torch.rand(1, 3, 16, 16), pixels / 16, labels)
    kept = moved[moved != 255]
    assert kept.unique(return_counts=True)[1].tolist() == [16] * len(kept.unique())
    assert len(kept.unique()) >= 16 - abs(pixels) - 0.5


@pytest.mark.parametrize('name', [name for name in STILL if name not in GEOMETRIC])
def test_colours_leave_labels_as_they_are(name: str) -> None:
    labels = random_labels()
    assert apply(name, random_images(), MAGNITUDES.get(name, 0), labels)[1] is labels


@pytest.mark.parametrize('fill', [0.0, 'border', 'reflection', (0.1, 0.2, 0.3)])
def test_the_fill_of_the_image_does_not_touch_labels(fill: object) -> None:
    images, labels = random_images(), random_labels()
    _, expected = apply('rotate', images, 40.0, labels)
    _, moved = apply('rotate', images, 40.0, labels, fill=fill)
    assert torch.equal(moved, expected) and (moved == 255).any()


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize('images', [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_every_kind_of_integers_is_kept(dtype: torch.dtype, images: torch.dtype) -> None:
    high = min(torch.iinfo(dtype).max, 2**23)
    labels = torch.randint(0, high, (2, 1, 9, 11), generator=torch.Generator().manual_seed(0)).to(dtype)
    _, moved = apply('vertical_flip', torch.rand(2, 3, 9, 11).to(images), 0.0, labels)
    assert torch.equal(moved, labels.flip(-2))
    _, moved = apply('translate_x', torch.rand(2, 3, 9, 11).to(images), 2 / 11, labels)
    assert moved.dtype == dtype
    assert torch.equal(moved[..., 2:], labels[..., :-2])
    assert (moved[..., :2] == 255).all()


@pytest.mark.parametrize('ignore_index', [0, -1, -100, 1000])
def test_another_ignore_index_fills_labels(ignore_index: int) -> None:
    labels = random_labels() + 1
    _, moved = apply('translate_y', random_images(), 0.5, labels, ignore_index=ignore_index)
    assert (moved[..., :8, :] == ignore_index).all()
    assert torch.equal(moved[..., 9:, :], labels[..., :8, :])


def test_labels_that_cannot_hold_the_ignore_index_are_refused() -> None:
    labels = random_labels(dtype=torch.uint8)
    with pytest.raises(ValueError, match='uint8 cannot hold the ignore_index -100; give int64'):
        apply('rotate', random_images(), 10.0, labels, ignore_index=-100)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bool])
def test_labels_that_are_no_integers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match='labels must be integers'):
        apply('rotate', random_images(), 10.0, random_labels(dtype=dtype))


def test_labels_of_images_that_get_nothing_are_kept() -> None:
    images, labels = random_images(3), random_labels(3)
    drawn = Drawn(('rotate', 'invert'), torch.tensor([[-1], [0], [1]]), torch.full((3, 1), 30.0))
    changed, moved = apply_drawn(images, labels, drawn, Canvas())
    assert torch.equal(moved[[0, 2]], labels[[0, 2]]) and torch.equal(changed[0], images[0])
    assert not torch.equal(moved[1], labels[1])


def test_several_maps_held_as_floats_move_as_one_of_integers() -> None:
    images, labels = random_images(), random_labels()
    _, expected = apply('rotate', images, 25.0, labels)
    _, moved = apply('rotate', images, 25.0, torch.cat([labels, labels + 1], dim=1).float())
    assert moved.dtype == torch.float32
    assert torch.equal(moved[:, :1].long(), expected)
    assert torch.equal(moved[:, 1:].long(), torch.where(expected == 255, 255, expected + 1))
