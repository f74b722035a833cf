from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from mmdas.ops import photometric

ADJUSTMENTS = {
    'brightness': tv.adjust_brightness,
    'contrast': tv.adjust_contrast,
    'saturation': tv.adjust_saturation,
    'sharpness': tv.adjust_sharpness,
}
BLENDS = {'invert': tv.invert, 'auto_contrast': tv.autocontrast, 'equalize': tv.equalize}
STEPS = ['solarize', 'posterize']
RANDOM = ['noise', 'cutout']
OPERATIONS = [*ADJUSTMENTS, *BLENDS, *STEPS, *RANDOM]
SIZES = [(17, 23), (32, 24)]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
DEVICES = ['meta', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'))]


def random_images(
    n: int = 2, channels: int = 3, size: tuple[int, int] = (17, 23), dtype: torch.dtype = torch.float64
) -> Tensor:
    """Values n / 255 as of a file, with black and white among them."""
    levels = torch.randint(0, 256, (n, channels, *size), generator=torch.Generator().manual_seed(0))
    levels[:, :, 0, 0], levels[:, :, 0, 1] = 0, 255
    return levels.to(dtype) / 255


def run(operation: str, images: Tensor, *magnitudes: float) -> Tensor:
    """Apply an operation; random ones draw from a generator of their own."""
    seeded = {'generator': torch.Generator().manual_seed(7)} if operation in RANDOM else {}
    return getattr(photometric, operation)(images, torch.tensor(magnitudes, dtype=images.dtype), **seeded)


def one_by_one(function: Callable, images: Tensor, *arguments: list) -> Tensor:
    """Apply a function of single images, with one value of every argument for each."""
    return torch.stack([function(image, *values) for image, *values in zip(images, *arguments, strict=True)])


def to_uint8(images: Tensor) -> Tensor:
    return (images * 255).round().to(torch.uint8)


def pillow(function: Callable, image: Tensor) -> Tensor:
    """Apply a function of PIL images to an image (3, H, W) in [0, 1]."""
    changed = function(Image.fromarray(to_uint8(image).permute(1, 2, 0).numpy()))
    return torch.from_numpy(np.array(changed)).permute(2, 0, 1).double() / 255


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('operation', ADJUSTMENTS)
def test_adjustment_equals_torchvision(
    operation: str, channels: int, size: tuple[int, int], dtype: torch.dtype
) -> None:
    magnitudes = [-1.0, -0.6, 0.0, 0.5, 1.7]
    images = random_images(5, channels, size, dtype)
    expected = one_by_one(ADJUSTMENTS[operation], images, [1 + m for m in magnitudes])
    torch.testing.assert_close(run(operation, images, *magnitudes), expected, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize('operation', ADJUSTMENTS)
def test_adjustment_factor_does_not_become_negative(operation: str) -> None:
    images = random_images()
    torch.testing.assert_close(run(operation, images, -1.4, -9.0), run(operation, images, -1.0, -1.0))


@pytest.mark.parametrize('size', [(2, 9), (9, 1)])
def test_sharpness_leaves_images_without_inner_pixels_unchanged(size: tuple[int, int]) -> None:
    images = random_images(size=(9, 9))[..., : size[0], : size[1]]
    torch.testing.assert_close(run('sharpness', images, -1.0, 2.0), images)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('sign', [-1, 1])
def test_solarize_equals_torchvision(size: tuple[int, int], sign: int) -> None:
    magnitudes = [0.1, 0.5, 0.77, 1.0]
    images = random_images(4, size=size)
    expected = one_by_one(tv.solarize, images, [1 - m for m in magnitudes])
    torch.testing.assert_close(run('solarize', images, *(sign * m for m in magnitudes)), expected)


@pytest.mark.parametrize('dropped', range(1, 10))
def test_posterize_equals_torchvision_on_floats_and_on_bytes(dropped: int) -> None:
    images = (torch.arange(256, dtype=torch.float64) / 255).reshape(1, 1, 8, 32)
    posterized, bits = run('posterize', images, -dropped + 0.2), max(1, 8 - dropped)
    torch.testing.assert_close(posterized, tv.posterize(images, bits))
    # the same levels of bytes, which are parted by 256 and not by 255
    torch.testing.assert_close(posterized * 256, tv.posterize(to_uint8(images), bits).double())


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('operation', BLENDS)
def test_full_blend_equals_torchvision(operation: str, size: tuple[int, int], dtype: torch.dtype) -> None:
    images = random_images(3, size=size, dtype=dtype) * 0.6 + 0.2
    expected = BLENDS[operation](images)
    torch.testing.assert_close(run(operation, images, 1.0, -1.0, 1.8), expected, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize('operation', BLENDS)
def test_partial_blend_is_a_weighted_mean(operation: str) -> None:
    images = random_images() * 0.6 + 0.2
    expected = torch.stack([0.75 * images[0], 0.4 * images[1]]) + torch.stack(
        [0.25 * run(operation, images, 1.0, 1.0)[0], 0.6 * run(operation, images, 1.0, 1.0)[1]]
    )
    torch.testing.assert_close(run(operation, images, 0.25, -0.6), expected)


@pytest.mark.parametrize(
    ('operation', 'reference', 'tolerance'),
    [('equalize', ImageOps.equalize, 1e-12), ('auto_contrast', ImageOps.autocontrast, 1 / 255)],
)
def test_histogram_operation_equals_pillow(operation: str, reference: Callable, tolerance: float) -> None:
    images = (random_images(size=(32, 24)) ** 2 * 0.6).mul(255).round() / 255
    expected = one_by_one(lambda image: pillow(reference, image), images)
    torch.testing.assert_close(run(operation, images, 1.0, 1.0), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize('operation', ['auto_contrast', 'equalize'])
def test_channel_of_one_value_stays_and_has_a_finite_gradient(operation: str) -> None:
    images = torch.full((1, 3, 5, 7), 51 / 255, dtype=torch.float64, requires_grad=True)
    magnitude = torch.ones(1, dtype=torch.float64, requires_grad=True)
    changed = getattr(photometric, operation)(images, magnitude)
    changed.sum().backward()
    torch.testing.assert_close(changed, images)
    torch.testing.assert_close(images.grad, torch.ones_like(images))
    torch.testing.assert_close(magnitude.grad, torch.zeros_like(magnitude))


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('operation', OPERATIONS)
def test_zero_magnitude_leaves_images_unchanged(operation: str, dtype: torch.dtype) -> None:
    images = random_images(dtype=dtype)
    torch.testing.assert_close(run(operation, images, 0.0, 0.0), images, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize('operation', OPERATIONS)
def test_nonzero_magnitude_changes_images_within_their_range(operation: str) -> None:
    images = random_images() * 0.8 + 0.1
    magnitudes = (5.0, -6.0) if operation == 'posterize' else (0.9, -0.7)
    changed = run(operation, images, *magnitudes)
    assert changed.min() >= 0 and changed.max() <= 1
    assert ((changed - images).abs().amax(dim=(1, 2, 3)) > 0.05).all()


@pytest.mark.parametrize('operation', [*ADJUSTMENTS, *BLENDS, *STEPS])
def test_images_of_a_batch_are_independent(operation: str) -> None:
    images, magnitudes = random_images(3), [0.6, -0.9, 3.0]
    alone = [run(operation, images[n : n + 1], m) for n, m in enumerate(magnitudes)]
    torch.testing.assert_close(run(operation, images, *magnitudes), torch.cat(alone))


@pytest.mark.parametrize('operation', OPERATIONS)
def test_arguments_are_not_changed_in_place(operation: str) -> None:
    images, magnitude = random_images(), torch.tensor([0.6, -0.9], dtype=torch.float64)
    images_before, magnitude_before = images.clone(), magnitude.clone()
    getattr(photometric, operation)(images, magnitude)
    assert torch.equal(images, images_before) and torch.equal(magnitude, magnitude_before)


@pytest.mark.parametrize('operation', OPERATIONS)
def test_dtype_of_images_is_kept(operation: str) -> None:
    images = random_images().bfloat16()
    assert getattr(photometric, operation)(images, torch.tensor([0.6, -0.9])).dtype == torch.bfloat16


@pytest.mark.parametrize('operation', [*ADJUSTMENTS, 'invert', 'auto_contrast', 'noise'])
def test_gradients_of_images_and_magnitude(operation: str) -> None:
    seeded = operation in RANDOM
    # values without ties and off the bounds, where the operations have kinks
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    magnitude = torch.tensor([0.6, -0.4], dtype=torch.float64, requires_grad=True)

    def function(images: Tensor, magnitude: Tensor) -> Tensor:
        draws = {'generator': torch.Generator().manual_seed(7)} if seeded else {}
        return getattr(photometric, operation)(images, magnitude, **draws)

    assert torch.autograd.gradcheck(function, (images, magnitude))


def test_gradient_of_the_equalize_magnitude() -> None:
    images = random_images(channels=1, size=(16, 17)) ** 2
    magnitude = torch.tensor([0.6, -0.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: photometric.equalize(images, m), magnitude)


@pytest.mark.parametrize('operation', [*STEPS, 'equalize'])
def test_step_passes_the_gradient_to_images_straight_through(operation: str) -> None:
    images = random_images().requires_grad_()
    weights = torch.randn(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (run(operation, images, 0.6, -1.0) * weights).sum().backward()
    torch.testing.assert_close(images.grad, weights)


@pytest.mark.parametrize('operation', [*STEPS, 'cutout'])
def test_operation_without_a_gradient_in_its_strength_has_none(operation: str) -> None:
    magnitude = torch.tensor([0.6, -0.9], requires_grad=True)
    assert not getattr(photometric, operation)(random_images(), magnitude).requires_grad


def test_noise_has_the_magnitude_as_standard_deviation_and_no_mean() -> None:
    images = torch.full((3, 3, 100, 100), 0.5, dtype=torch.float64)
    residual = run('noise', images, 0.02, -0.05, 0.1) - images
    deviation = torch.tensor([0.02, 0.05, 0.1], dtype=torch.float64)
    torch.testing.assert_close(residual.std(dim=(1, 2, 3)), deviation, atol=0, rtol=0.02)
    assert (residual.mean(dim=(1, 2, 3)).abs() < 5 * deviation / 30000**0.5).all()
    assert abs(torch.corrcoef(residual[:2].flatten(1))[0, 1]) < 5 / 30000**0.5


def test_cutout_covers_a_grey_square_in_all_channels_and_nothing_else() -> None:
    images = random_images(40) * 0.3
    changed = run('cutout', images, *[0.4] * 40)
    covered = changed != images
    assert torch.equal(covered, covered[:, :1].expand_as(covered)) and (changed[covered] == 0.5).all()
    rows, columns = covered[:, 0].any(dim=2), covered[:, 0].any(dim=1)  # (N, H), (N, W)
    assert torch.equal(covered[:, 0], rows[:, :, None] & columns[:, None])
    inside = ~(rows[:, 0] | rows[:, -1] | columns[:, 0] | columns[:, -1])
    assert inside.sum() > 5
    for sides in (rows, columns):
        assert ((sides.sum(dim=1)[inside] - 0.4 * 17).abs() < 1).all()


def test_cutout_centre_is_uniform_over_the_image() -> None:
    images = torch.zeros(9600, 1, 4, 6)
    hits = (run('cutout', images, *[0.25] * 9600) == 0.5).sum(dim=(0, 1))  # a hole of one pixel
    assert hits.sum() == 9600
    assert ((hits - 400).abs() < 5 * 400**0.5).all()


def test_cutout_passes_the_gradient_of_the_uncovered_pixels() -> None:
    images = (random_images() * 0.3).requires_grad_()
    changed = run('cutout', images, 0.5, -0.7)
    changed.sum().backward()
    torch.testing.assert_close(images.grad, (changed != 0.5).double())


@pytest.mark.parametrize('operation', RANDOM)
def test_draws_come_from_the_generator_or_the_global_one(operation: str) -> None:
    function, images, magnitude = getattr(photometric, operation), random_images() * 0.3, torch.tensor([0.4, 0.5])
    generator = torch.Generator().manual_seed(5)
    first, second = function(images, magnitude, generator), function(images, magnitude, generator)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(function(images, magnitude), first)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('operation', RANDOM)
def test_generator_on_the_cpu_serves_images_on_another_device(operation: str, device: str) -> None:
    images = random_images()
    magnitude = torch.tensor([0.4, 0.5], dtype=torch.float64)
    changed = getattr(photometric, operation)(images.to(device), magnitude.to(device), torch.Generator().manual_seed(7))
    assert changed.device.type == device and changed.shape == images.shape
    if device != 'meta':  # which has shapes only
        torch.testing.assert_close(changed.cpu(), run(operation, images, 0.4, 0.5))


def test_autocast_does_not_coarsen_sharpness() -> None:
    images = random_images(dtype=torch.float32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        sharpened = run('sharpness', images, 0.8, -1.0)
    torch.testing.assert_close(sharpened, run('sharpness', images, 0.8, -1.0))


@pytest.mark.parametrize('operation', ['contrast', 'saturation'])
def test_operation_that_needs_grey_refuses_other_channels(operation: str) -> None:
    with pytest.raises(ValueError, match=r'3 \(RGB\) or 1 channels .*, got 4'):
        run(operation, random_images(channels=4), 0.1, 0.1)


@pytest.mark.parametrize('operation', [name for name in OPERATIONS if name not in ('contrast', 'saturation')])
def test_operation_that_needs_no_grey_takes_any_channels(operation: str) -> None:
    images = random_images(channels=6)
    if operation in RANDOM:
        assert run(operation, images, 0.6, -0.9).shape == images.shape
    else:
        halves = [run(operation, half, 0.6, -0.9) for half in images.split(3, dim=1)]
        torch.testing.assert_close(run(operation, images, 0.6, -0.9), torch.cat(halves, dim=1))


@pytest.mark.parametrize('shape', [(), (1,), (3,), (2, 1)])
@pytest.mark.parametrize('operation', OPERATIONS)
def test_other_than_one_magnitude_per_image_is_refused(operation: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r'magnitude must be \(2,\)'):
        getattr(photometric, operation)(random_images(), torch.zeros(shape))
