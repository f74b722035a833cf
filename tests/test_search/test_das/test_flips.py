"""The horizontal flip as an operation of clips: alone, in cells, and undone."""

import pytest
import torch
from cell_reference import random_images

from mmdas.ops.affine import compose, warp_affine
from mmdas.ops.flip import horizontal_flips, horizontal_flips_matrix
from mmdas.search.das import DASCell, Policy, PolicyClip, PolicyEdge, build_space
from mmdas.search.das.search_space import split_ranges

SIZE = (6, 9)
FLIP = PolicyEdge(1, 2, 'horizontal_flip', 1.0)
TURN = PolicyEdge(2, 3, 'rotate', 10.0)
CLOSE = dict(atol=1e-10, rtol=0)


def flipped(images):
    """By the definition: column w is column W - 1 - w."""
    width = images.shape[-1]
    return torch.stack([images[..., width - 1 - column] for column in range(width)], dim=-1)


def test_an_image_is_flipped_as_often_as_its_magnitude_says_by_function_and_matrix():
    magnitude = torch.tensor([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0], dtype=torch.float64)
    images = random_images(len(magnitude), SIZE)
    expected = [flipped(image) if odd else image for image, odd in zip(images, [1, 0, 1, 0, 1, 0, 1], strict=True)]
    assert torch.equal(horizontal_flips(images, magnitude), torch.stack(expected))
    warped = warp_affine(images, horizontal_flips_matrix(magnitude, SIZE))
    torch.testing.assert_close(warped, torch.stack(expected), **CLOSE)


def test_flips_add_up():
    first, second = torch.randint(-4, 5, (2, 20), generator=torch.Generator().manual_seed(0)).double()
    both = compose(horizontal_flips_matrix(first, SIZE), horizontal_flips_matrix(second, SIZE))
    torch.testing.assert_close(both, horizontal_flips_matrix(first + second, SIZE))


@pytest.mark.parametrize('ramp', ['signed', 'mirrored'])
@pytest.mark.parametrize('num_frames', [2, 4, 5])
def test_every_second_frame_of_a_policy_is_flipped(num_frames, ramp):
    images = random_images(2, SIZE)
    clip = PolicyClip(Policy(num_frames, 1, (FLIP,), ramp=ramp))(images).unflatten(1, (num_frames, 3))
    for frame in range(num_frames):
        expected = flipped(images) if (frame - num_frames // 2) % 2 else images
        torch.testing.assert_close(clip[:, frame], expected, **CLOSE)


def test_aligned_maps_are_flipped_back_and_turned_back():
    """Maps that see the warped frames, undone, are those of the image where no warp has moved them out."""
    turned = PolicyClip(Policy(4, 2, (FLIP, TURN)))
    alone = PolicyClip(Policy(4, 1, (FLIP,)))
    maps = random_images(2, SIZE)
    seen = alone(maps).unflatten(1, (4, 3)).transpose(0, 1)
    torch.testing.assert_close(alone.unwarp(seen, SIZE, SIZE), maps.expand(4, -1, -1, -1, -1), **CLOSE)
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing='ij')
    # so smooth that sampling loses little
    smooth = torch.stack([(x / 9).sin(), (y / 7).cos(), (x + y) / 80])[None].double()
    seen = turned(smooth).unflatten(1, (4, 3)).transpose(0, 1)
    back = turned.unwarp(seen, (40, 40), (40, 40))[..., 14:26, 14:26]
    torch.testing.assert_close(back, smooth[..., 14:26, 14:26].expand_as(back), atol=1e-2, rtol=0)
    assert (seen[1, ..., 14:26, 14:26] - smooth[..., 14:26, 14:26]).abs().max() > 0.3


@pytest.mark.parametrize('strength', ['fixed', 'learned'])
def test_a_cell_with_flips_has_the_gradients_of_its_plain_loop(strength):
    cell = DASCell(4, 'flips', num_nodes=2, seed=1, strength=strength).double()
    images, results = random_images(2, SIZE), []
    for path in (cell, cell._loop):
        clip = path(images)
        weight = torch.randn(clip.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        results.append([clip, *torch.autograd.grad((clip * weight).sum(), cell.logits)])
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, **CLOSE)
    assert results[0][1][:, -1].abs().min() > 0, 'the flip of every edge has a gradient'
    assert cell.strengths()[:, -1].tolist() == [1.0] * len(cell.edges)


def test_a_flip_has_one_strength_however_many_the_others_have():
    names = [operation.name for operation in split_ranges(build_space('flips'), 3)]
    assert names.count('horizontal_flip') == names.count('identity') == 1
    assert names.count('rotate') == 3
