"""Each operation of augmentation policies against Pillow, torchvision and OpenCV."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from augment_images import MAGNITUDES, RANDOM, STILL, WARPS, apply, random_images
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from mmdas.search.augmentation import AUGMENT_OPERATIONS, Drawn, apply_drawn

SIZES = [(17, 23), (32, 24), (16, 16)]
FILL = 0.3
SIGNS = [(name, sign) for name in WARPS for sign in (-1, 1)]


def torchvision_warp(name: str, images: Tensor, magnitude: float) -> Tensor:
    height, width = images.shape[-2:]
    options = dict(interpolation=InterpolationMode.BILINEAR)  # its fill counts twice what is partly covered
    if name == 'rotate':
        return tv.rotate(images, magnitude, **options)
    shear = math.degrees(math.atan(magnitude))
    change = {
        'translate_x': {'translate': [magnitude * width, 0.0]},
        'translate_y': {'translate': [0.0, magnitude * height]},
        'scale': {'scale': 1 + magnitude},
        'shear_x': {'shear': [shear, 0.0]},
        'shear_y': {'shear': [0.0, shear]},
    }[name]
    still = {'angle': 0.0, 'translate': [0.0, 0.0], 'scale': 1.0, 'shear': [0.0, 0.0]}
    return tv.affine(images, **(still | change), **options)


def inverse_coefficients(name: str, magnitude: float, size: tuple[int, int]) -> list[float]:
    """a, b, c, d, e, f: the output pixel (x, y) comes from (a x + b y + c, d x + e y + f), corners at whole numbers."""
    height, width = size
    cos, sin = math.cos(math.radians(magnitude)), math.sin(math.radians(magnitude))
    a, b, d, e = {
        'rotate': (cos, -sin, sin, cos),
        'shear_x': (1, magnitude, 0, 1),
        'shear_y': (1, 0, magnitude, 1),
        'scale': (1 / (1 + magnitude), 0, 0, 1 / (1 + magnitude)),
    }.get(name, (1, 0, 0, 1))
    right = magnitude * width if name == 'translate_x' else 0
    down = magnitude * height if name == 'translate_y' else 0
    x, y = width / 2, height / 2  # which stays where it is, but for the shift
    return [a, b, x - a * x - b * y - right, d, e, y - d * x - e * y - down]


def well_inside(coefficients: list[float], size: tuple[int, int]) -> np.ndarray:
    """Whether the four neighbours that an output pixel is mixed of lie in the image."""
    a, b, c, d, e, f = coefficients
    y, x = np.meshgrid(*(np.arange(side) + 0.5 for side in size), indexing='ij')
    x, y = a * x + b * y + c, d * x + e * y + f
    return (x > 0.6) & (x < size[1] - 0.6) & (y > 0.6) & (y < size[0] - 0.6)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(('name', 'sign'), SIGNS)
def test_warp_equals_torchvision_with_its_fill(name: str, sign: int, size: tuple[int, int]) -> None:
    images, magnitude = random_images(size=size), sign * MAGNITUDES[name]
    warped, _ = apply(name, images, magnitude, fill=FILL)
    uncovered = 1 - torchvision_warp(name, torch.ones_like(images), magnitude)
    expected = torchvision_warp(name, images, magnitude) + uncovered * FILL
    torch.testing.assert_close(warped, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(('name', 'sign'), SIGNS)
def test_warp_equals_pillow_where_the_image_is(name: str, sign: int, size: tuple[int, int]) -> None:
    images, magnitude = random_images(1, size, 1), sign * MAGNITUDES[name]
    coefficients = inverse_coefficients(name, magnitude, size)
    picture = Image.fromarray(images[0, 0].numpy())
    expected = np.array(picture.transform(picture.size, Image.Transform.AFFINE, coefficients, Image.BILINEAR))
    warped, _ = apply(name, images, magnitude)
    inside = well_inside(coefficients, size)
    assert inside.mean() > 0.2
    np.testing.assert_allclose(warped[0, 0].numpy()[inside], expected[inside], atol=1e-4, rtol=0)


@pytest.mark.parametrize('angle', [-70.0, 30.0])
def test_rotation_equals_pillow_rotate(angle: float) -> None:
    images = random_images(1, (24, 24), 1)
    expected = np.array(Image.fromarray(images[0, 0].numpy()).rotate(angle, Image.BILINEAR))
    inside = well_inside(inverse_coefficients('rotate', angle, (24, 24)), (24, 24))
    warped, _ = apply('rotate', images, angle)
    np.testing.assert_allclose(warped[0, 0].numpy()[inside], expected[inside], atol=1e-4)


@pytest.mark.parametrize(('name', 'sign'), SIGNS)
def test_warp_equals_opencv_within_its_steps_of_a_32nd_pixel(name: str, sign: int) -> None:
    size, magnitude = (40, 48), sign * MAGNITUDES[name]
    y, x = np.meshgrid(np.arange(40.0), np.arange(48.0), indexing='ij')
    smooth = (0.5 + 0.2 * np.sin(0.3 * x + 0.1 * y)).astype(np.float32)
    coefficients = inverse_coefficients(name, magnitude, size)
    centres = np.float64(coefficients).reshape(2, 3)
    centres[:, 2] += centres[:, :2].sum(1) / 2 - 0.5  # OpenCV's whole numbers are the pixels' centres
    expected = cv2.warpAffine(smooth, centres, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    warped, _ = apply(name, torch.from_numpy(smooth)[None, None], magnitude)
    inside = well_inside(coefficients, size)
    np.testing.assert_allclose(warped[0, 0].numpy()[inside], expected[inside], atol=0.005)


@pytest.mark.parametrize(('name', 'sign'), SIGNS)
def test_nearest_warp_takes_the_pixel_that_an_index_says(name: str, sign: int) -> None:
    images, magnitude = random_images(size=(20, 26)), sign * MAGNITUDES[name] * 1.01  # off the ties of half a pixel
    warped, _ = apply(name, images, magnitude, fill=FILL, interpolation='nearest')
    coefficients = inverse_coefficients(name, magnitude, (20, 26))
    a, b, c, d, e, f = coefficients
    y, x = (t.float() + 0.5 for t in torch.meshgrid(torch.arange(20), torch.arange(26), indexing='ij'))
    column, row = (a * x + b * y + c).floor().long(), (d * x + e * y + f).floor().long()
    there = (column >= 0) & (column < 26) & (row >= 0) & (row < 20)
    expected = torch.where(there, images[..., row.clamp(0, 19), column.clamp(0, 25)], FILL)
    assert ((warped - expected).abs() > 1e-6).float().mean() < 0.005  # rounding at the edge of a pixel


@pytest.mark.parametrize(('name', 'axis'), [('horizontal_flip', -1), ('vertical_flip', -2)])
def test_flip_equals_numpy_and_its_matrix(name: str, axis: int) -> None:
    images = random_images()
    flipped, _ = apply(name, images)
    np.testing.assert_array_equal(flipped.numpy(), np.flip(images.numpy(), axis))
    from mmdas.ops.affine import warp_affine

    matrix = AUGMENT_OPERATIONS[name].matrix(torch.ones(2), (17, 23))
    torch.testing.assert_close(warp_affine(images, matrix), flipped, atol=1e-5, rtol=0)


def pillow(function: Callable, images: Tensor) -> Tensor:
    """Apply a function of 8 bit pictures to every image."""

    def one(image: Tensor) -> Tensor:
        picture = Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())
        return torch.from_numpy(np.array(function(picture))).permute(2, 0, 1).float() / 255

    return torch.stack([one(image) for image in images])


def solarize_add(picture: Image.Image) -> Image.Image:
    return picture.point([min(255, level + 70) if level < 128 else level for level in range(256)] * 3)


PILLOW = {  # operation -> magnitude, the same of pictures, tolerance in levels of 255
    'auto_contrast': (0, ImageOps.autocontrast, 1),
    'equalize': (0, ImageOps.equalize, 0.01),
    'invert': (0, ImageOps.invert, 0.01),
    'blur': (0, lambda picture: picture.filter(ImageFilter.BLUR), 0.51),
    'smooth': (0, lambda picture: picture.filter(ImageFilter.SMOOTH), 0.51),
    'posterize': (4, lambda picture: ImageOps.posterize(picture, 4), 0.94),  # a float has 15/16 where bytes have 240
    'solarize': (0.4, lambda picture: ImageOps.solarize(picture, 153), 0.01),
    'solarize_add': (70 / 255, solarize_add, 0.01),
    'saturation': (0.7, lambda picture: ImageEnhance.Color(picture).enhance(1.7), 1.3),
    'contrast': (-0.6, lambda picture: ImageEnhance.Contrast(picture).enhance(0.4), 1.2),
    'brightness': (0.35, lambda picture: ImageEnhance.Brightness(picture).enhance(1.35), 1.01),
    'sharpness': (0.9, lambda picture: ImageEnhance.Sharpness(picture).enhance(1.9), 1.5),
}
TORCHVISION = {
    'auto_contrast': (0, tv.autocontrast),
    'equalize': (0, tv.equalize),
    'invert': (0, tv.invert),
    'posterize': (3, lambda image: tv.posterize(image, 5)),
    'solarize': (0.25, lambda image: tv.solarize(image, 0.75)),
    'saturation': (-0.7, lambda image: tv.adjust_saturation(image, 0.3)),
    'contrast': (0.8, lambda image: tv.adjust_contrast(image, 1.8)),
    'brightness': (-0.4, lambda image: tv.adjust_brightness(image, 0.6)),
    'sharpness': (-0.5, lambda image: tv.adjust_sharpness(image, 0.5)),
    'smooth': (0, lambda image: tv.adjust_sharpness(image, 0.0)),
}


@pytest.mark.parametrize('name', PILLOW)
def test_colours_equal_pillow(name: str) -> None:
    magnitude, function, levels = PILLOW[name]
    images = (random_images(3, (24, 20)) * 0.8 * 255).round() / 255
    changed, _ = apply(name, images, magnitude)
    torch.testing.assert_close(changed, pillow(function, images), atol=levels / 255, rtol=0)
    assert (changed - images).abs().mean() > 0.005


@pytest.mark.parametrize('name', TORCHVISION)
def test_colours_equal_torchvision(name: str) -> None:
    magnitude, function = TORCHVISION[name]
    images = random_images(3, (24, 20)) * 0.9
    changed, _ = apply(name, images, magnitude)
    torch.testing.assert_close(changed, torch.stack([function(image) for image in images]), atol=1e-5, rtol=0)


def test_every_operation_is_compared_with_another_library() -> None:
    assert {*WARPS, *PILLOW, *RANDOM, 'identity', 'horizontal_flip', 'vertical_flip'} == AUGMENT_OPERATIONS.keys()


def test_noise_has_its_deviation_and_no_mean() -> None:
    images = torch.full((4, 3, 50, 50), 0.5)
    torch.manual_seed(0)
    noise = apply('noise', images, 0.1)[0] - images
    assert abs(noise.mean()) < 0.003  # five standard errors
    assert abs(noise.std() - 0.1) < 0.003


def test_cutout_covers_at_most_its_square_and_each_image_elsewhere() -> None:
    torch.manual_seed(0)
    covered = apply('cutout', torch.ones(64, 3, 20, 30), 0.5)[0] == 0.5
    counts = covered[:, 0].flatten(1).sum(1)
    assert torch.equal(covered[:, :1].expand_as(covered), covered)
    assert counts.max() <= 121 and counts.min() >= 25  # 10 x 10 of a shorter side of 20, a quarter in the corner
    assert len({tuple(mask.flatten().tolist()) for mask in covered[:, 0]}) > 50


@pytest.mark.parametrize('name', [name for name, operation in AUGMENT_OPERATIONS.items() if operation.has_magnitude])
def test_magnitude_zero_leaves_images_as_they_are(name: str) -> None:
    images = random_images(size=(12, 9))
    torch.testing.assert_close(apply(name, images, 0.0)[0], images, atol=2e-6, rtol=0)


@pytest.mark.parametrize('name', AUGMENT_OPERATIONS)
def test_ends_of_the_range_stay_in_range(name: str) -> None:
    operation, images = AUGMENT_OPERATIONS[name], random_images(size=(12, 9))
    for magnitude in (operation.low, operation.high):
        changed, _ = apply(name, images, magnitude)
        assert changed.isfinite().all() and changed.min() >= -1e-6 and changed.max() <= 1 + 1e-6


@pytest.mark.parametrize('name', AUGMENT_OPERATIONS)
def test_images_and_labels_are_not_changed_in_place(name: str) -> None:
    images, labels = random_images(), torch.ones(2, 1, 17, 23, dtype=torch.long)
    before = images.clone(), labels.clone()
    apply(name, images, MAGNITUDES.get(name, 0), labels)
    assert torch.equal(images, before[0]) and torch.equal(labels, before[1])


@pytest.mark.parametrize('name', STILL)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_the_rounded_result(name: str, dtype: torch.dtype) -> None:
    images, magnitude = (random_images(size=(40, 60)) * 0.9).to(dtype), MAGNITUDES.get(name, 0)
    changed, _ = apply(name, images, magnitude)
    expected, _ = apply(name, images.float(), magnitude)
    assert changed.dtype == dtype
    difference = (changed.float() - expected).abs()
    # a step (solarize, posterize, equalize) may fall on its other side
    assert (difference > 8 * torch.finfo(dtype).eps).float().mean() < 0.02


@pytest.mark.parametrize('name', [name for name in STILL if name != 'identity'])
@pytest.mark.parametrize('size', [(1, 1), (1, 7), (3, 2), (5, 5)])
def test_small_images_keep_their_size_and_range(name: str, size: tuple[int, int]) -> None:
    images = random_images(size=size)
    changed, labels = apply(name, images, MAGNITUDES.get(name, 0), torch.ones(2, 1, *size, dtype=torch.uint8))
    assert changed.shape == images.shape and labels.shape == (2, 1, *size)
    assert changed.isfinite().all() and changed.min() >= -1e-6 and changed.max() <= 1 + 1e-6


@pytest.mark.parametrize('name', [name for name in STILL if name not in ('solarize', 'posterize', 'equalize')])
def test_gradient_of_the_images_is_that_of_the_values(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    images = (torch.rand(2, 3, 6, 7, generator=generator, dtype=torch.float64) * 0.3 + 0.15).requires_grad_()
    magnitude = MAGNITUDES.get(name, 0) / 2

    def function(images: Tensor) -> Tensor:
        return apply(name, images, magnitude)[0]

    assert torch.autograd.gradcheck(function, (images,), atol=1e-4)


@pytest.mark.parametrize('name', ['solarize', 'posterize', 'equalize'])
def test_steps_pass_the_gradient_through(name: str) -> None:
    images = random_images().requires_grad_()
    apply(name, images, MAGNITUDES.get(name, 0))[0].sum().backward()
    torch.testing.assert_close(images.grad, torch.ones_like(images))


def test_grey_is_asked_of_images_with_other_channels() -> None:
    for name, operation in AUGMENT_OPERATIONS.items():
        images = random_images(channels=2)
        if operation.reads_grey:
            with pytest.raises(ValueError, match='3 .RGB. or 1 channels'):
                apply(name, images, 0.5)
        else:
            assert apply(name, images, MAGNITUDES.get(name, 0))[0].shape == images.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', STILL)
def test_images_on_a_gpu_give_what_they_give_on_the_cpu(name: str) -> None:
    images, labels = random_images(4), torch.randint(0, 6, (4, 1, 17, 23))
    names = tuple(dict.fromkeys([name, 'invert', 'rotate']))
    indices = torch.tensor([[0, 1], [0, -1], [-1, 0], [len(names) - 1, 0]])
    drawn = Drawn(names, indices, torch.full((4, 2), MAGNITUDES.get(name, 0.0)))
    expected, moved = apply_drawn(images, labels, drawn)
    actual, moved_there = apply_drawn(images.cuda(), labels.cuda(), drawn)
    torch.testing.assert_close(actual.cpu(), expected, atol=1e-4, rtol=0)
    assert (moved_there.cpu() != moved).float().mean() < 0.01
