"""Views of an image, and the way back."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as torchvision

from mmdas.ops import photometric
from mmdas.search.das import Pixels
from mmdas.search.policy_file import PolicyError
from mmdas.search.test_time import GROUPS, View, build_views, look

SIZE = (30, 40)
EXACT = [
    View(),
    View(flip=True),
    View('translate_x', 0.1),
    View('translate_y', -0.2),
    View('translate_x', -0.26, flip=True),
    View('translate_y', 0.5, flip=True),
]


def pointwise(images: Tensor) -> Tensor:
    """A network of single pixels, which is equivariant to every move of them: (N, 3, H, W) -> (N, 5, H, W)."""
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    return 3 * torch.einsum('kc,nchw->nkhw', weights, images)


@pytest.mark.parametrize('view', EXACT, ids=str)
def test_equivariant_network_gives_the_plain_prediction_after_flips_and_shifts(view: View):
    images = torch.rand(2, 3, *SIZE)
    probabilities, seen = look(pointwise, images, view)
    assert seen is not None
    assert 0.4 < seen.mean() <= 1
    expected = pointwise(images).softmax(1)
    torch.testing.assert_close(probabilities * seen, expected * seen, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'view', [View('rotate', 9.0), View('scale', 0.2, flip=True), View('shear_y', 0.2), View(size=1.5)]
)
def test_smooth_images_come_back_nearly_as_they_were(view: View):
    y, x = torch.meshgrid(torch.linspace(0, 1, SIZE[0]), torch.linspace(0, 1, SIZE[1]), indexing='ij')
    images = torch.stack([x, y, (x * y * 3).sin()])[None]
    probabilities, seen = look(pointwise, images, view)
    assert seen is not None
    error = ((probabilities - pointwise(images).softmax(1)) * seen)[..., 2:-2, 2:-2]
    assert error.abs().max() < 0.02  # at the edges, where the image is mirrored


@pytest.mark.parametrize('view', [view for view in build_views() if not view.sees_all], ids=str)
def test_seen_pixels_are_those_whose_place_lies_within_the_view(view: View):
    marks = torch.zeros(1, 1, *SIZE)
    _, seen = view.undo(marks, SIZE)
    theta = view._matrix(SIZE)[0]
    linear, shift = theta[:, :2], theta[:, 2]
    for row in range(0, SIZE[0], 7):
        for column in range(0, SIZE[1], 7):
            place = torch.tensor([(2 * column + 1) / SIZE[1] - 1, (2 * row + 1) / SIZE[0] - 1], dtype=torch.float64)
            output = torch.linalg.solve(linear, place - shift)
            assert bool(seen[0, 0, row, column]) == bool((output.abs() <= 1 + 1e-4).all())


def test_shift_moves_whole_pixels_and_mirrors_what_it_uncovers():
    image = torch.rand(1, 1, 8, 10)
    moved = View('translate_x', 0.17).apply(image)  # 1.7 pixels: two
    torch.testing.assert_close(moved[..., 2:], image[..., :-2])
    torch.testing.assert_close(moved[..., :2], image[..., :2].flip(-1))


def test_operation_flip_and_size_follow_each_other():
    image = torch.rand(1, 3, *SIZE)
    view = View('rotate', 10.0, flip=True, size=0.5)
    expected = F.interpolate(View('rotate', 10.0).apply(image).flip(-1), (15, 20), mode='bilinear', align_corners=False)
    torch.testing.assert_close(view.apply(image), expected)
    assert view.resized(SIZE) == (15, 20)


def test_rotation_is_counter_clockwise_as_in_the_table():
    image = torch.rand(1, 3, 41, 41)
    turned = View('rotate', 10.0).apply(image)[..., 10:31, 10:31]
    expected = torchvision.rotate(image, 10.0, torchvision.InterpolationMode.BILINEAR)[..., 10:31, 10:31]
    torch.testing.assert_close(turned, expected, atol=1e-3, rtol=0)


def test_colours_change_as_those_of_the_image_whatever_its_normalisation():
    colours = torch.rand(2, 3, 6, 6)
    mean, std = torch.tensor([100.0, 110.0, 120.0]), torch.tensor([50.0, 60.0, 70.0])
    normalised = ((colours * 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)).flip(1)  # BGR
    pixels = Pixels(mean.flip(0).tolist(), std.flip(0).tolist(), 255.0, 'bgr')
    changed = View('contrast', 0.3).apply(normalised, pixels)
    expected = photometric.contrast(colours, torch.full((2,), 0.3)) * 255
    found = changed.flip(1) * std.view(3, 1, 1) + mean.view(3, 1, 1)
    torch.testing.assert_close(found, expected, atol=1e-2, rtol=0)


def test_half_precision_stays_and_moves_whole_pixels():
    image = torch.rand(1, 1, 16, 512).half()
    moved = View('translate_x', 0.25).apply(image)
    assert moved.dtype == torch.half
    assert torch.equal(moved[..., 128:], image[..., :-128])


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        (dict(operation='twist'), 'operation is'),
        (dict(operation=3), 'operation is 3'),
        (dict(operation='noise', magnitude=0.1), 'random'),
        (dict(magnitude=0.1), 'identity'),
        (dict(operation='rotate', magnitude=math.nan), 'magnitude is nan'),
        (dict(operation='rotate', magnitude=True), 'magnitude is True'),
        (dict(operation='scale', magnitude=-1.0), 'more than -1'),
        (dict(operation='scale', magnitude=500.0), 'leaves nothing'),
        (dict(operation='translate_x', magnitude=90.0), 'leaves nothing'),
        (dict(size=0.01), 'size is 0.01'),
        (dict(flip=1), 'flip is 1'),
    ],
)
def test_unusable_view_is_refused_by_its_field(fields: dict, message: str):
    with pytest.raises(PolicyError, match=message):
        View(**fields)


def test_space_begins_with_the_image_and_has_every_view_once():
    views = build_views()
    assert views[0].is_image
    assert len(set(views)) == len(views)
    assert set(build_views(['flip'])) == {View(), View(flip=True)}
    assert not any(view.flip for view in build_views(['shift', 'colour']))
    assert all(set(group) <= set(views) for group in GROUPS.values())
    assert {str(view) for view in build_views(['flip', 'size'])} >= {'size 1.25', 'flip, size 1.25'}


def test_unknown_group_of_views_is_refused():
    with pytest.raises(ValueError, match="'mirror'.*known"):
        build_views(['mirror'])
