import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from mmdas.ops import affine

OPERATIONS = ['translate_x', 'translate_y', 'rotate', 'scale', 'shear_x', 'shear_y']
MAGNITUDES = {
    'translate_x': [-0.31, 0.12],
    'translate_y': [-0.31, 0.12],
    'rotate': [-75.0, 20.0],
    'scale': [-0.3, 0.45],
    'shear_x': [-0.4, 0.25],
    'shear_y': [-0.4, 0.25],
}
SIZES = [(17, 23), (32, 24), (16, 16)]
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
BORDERS = {'zeros': cv2.BORDER_CONSTANT, 'border': cv2.BORDER_REPLICATE, 'reflection': cv2.BORDER_REFLECT}


def random_images(size: tuple[int, int], n: int = 2, channels: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(n, channels, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def smooth_image(size: tuple[int, int]) -> Tensor:
    """(1, 1, H, W), waves of about ten pixels; OpenCV's bilinear weights have steps of 1/32 pixel."""
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in size), indexing='ij')
    return (0.5 + 0.3 * torch.sin(0.6 * x + 0.2 * y) + 0.2 * torch.cos(0.5 * y - 0.1 * x))[None, None]


def run(operation: str, images: Tensor, *magnitudes: float, padding: str = 'zeros') -> Tensor:
    return getattr(affine, operation)(images, torch.tensor(magnitudes, dtype=images.dtype), padding)


def torchvision_reference(operation: str, images: Tensor, magnitude: float) -> Tensor:
    if operation == 'rotate':
        return tv.rotate(images, magnitude, InterpolationMode.BILINEAR)
    height, width = images.shape[-2:]
    shear = math.degrees(math.atan(magnitude))
    change = {
        'translate_x': {'translate': [magnitude * width, 0.0]},
        'translate_y': {'translate': [0.0, magnitude * height]},
        'scale': {'scale': 1 + magnitude},
        'shear_x': {'shear': [shear, 0.0]},
        'shear_y': {'shear': [0.0, shear]},
    }[operation]
    still = {'angle': 0.0, 'translate': [0.0, 0.0], 'scale': 1.0, 'shear': [0.0, 0.0]}
    return tv.affine(images, **(still | change), interpolation=InterpolationMode.BILINEAR)


def opencv_reference(operation: str, image: Tensor, magnitude: float, padding: str) -> Tensor:
    """Warp by the matrix from input to output *pixels*, written down for each operation."""
    height, width = image.shape[-2:]
    x, y = (width - 1) / 2, (height - 1) / 2
    matrix = {
        'translate_x': np.array([[1, 0, magnitude * width], [0, 1, 0]]),
        'translate_y': np.array([[1, 0, 0], [0, 1, magnitude * height]]),
        'rotate': cv2.getRotationMatrix2D((x, y), magnitude, 1),
        'scale': cv2.getRotationMatrix2D((x, y), 0, 1 + magnitude),
        'shear_x': np.array([[1, -magnitude, magnitude * y], [0, 1, 0]]),
        'shear_y': np.array([[1, 0, 0], [-magnitude, 1, magnitude * x]]),
    }[operation]
    pixels = image[0, 0].numpy()
    warped = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=BORDERS[padding])
    return torch.from_numpy(warped)[None, None]


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('operation', OPERATIONS)
def test_operation_equals_torchvision(operation: str, size: tuple[int, int], dtype: torch.dtype) -> None:
    images = random_images(size, dtype=dtype)
    warped = run(operation, images, *MAGNITUDES[operation])
    expected = [
        torchvision_reference(operation, image, m) for image, m in zip(images, MAGNITUDES[operation], strict=True)
    ]
    torch.testing.assert_close(warped, torch.stack(expected), atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize('padding', affine.PADDINGS)
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('operation', OPERATIONS)
def test_operation_equals_opencv_in_every_padding(operation: str, size: tuple[int, int], padding: str) -> None:
    image = smooth_image(size)
    for magnitude in MAGNITUDES[operation]:
        warped = run(operation, image, magnitude, padding=padding)
        expected = opencv_reference(operation, image, magnitude, padding)
        torch.testing.assert_close(warped, expected, atol=0.02, rtol=0)


@pytest.mark.parametrize('padding', affine.PADDINGS)
@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('operation', OPERATIONS)
def test_zero_magnitude_leaves_images_unchanged(operation: str, dtype: torch.dtype, padding: str) -> None:
    images = random_images((17, 23), dtype=dtype)
    unchanged = run(operation, images, 0.0, 0.0, padding=padding)
    torch.testing.assert_close(unchanged, images, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize('pixels', [-5, -1, 1, 4])
def test_translation_by_whole_pixels_equals_slicing(pixels: int) -> None:
    images = random_images((17, 23))
    moved = F.pad(images, (pixels, -pixels, 0, 0))  # positive pads, negative cuts
    torch.testing.assert_close(run('translate_x', images, *[pixels / 23] * 2), moved, atol=1e-10, rtol=0)
    moved = F.pad(images, (0, 0, pixels, -pixels))
    torch.testing.assert_close(run('translate_y', images, *[pixels / 17] * 2), moved, atol=1e-10, rtol=0)


@pytest.mark.parametrize('quarters', [-1, 1, 2])
def test_rotation_by_quarters_of_a_square_equals_rot90(quarters: int) -> None:
    images = random_images((16, 16))
    rotated = run('rotate', images, *[90.0 * quarters] * 2)
    torch.testing.assert_close(rotated, torch.rot90(images, quarters, (-2, -1)), atol=1e-10, rtol=0)


@pytest.mark.parametrize('operation', OPERATIONS)
def test_each_image_follows_its_own_magnitude_in_all_channels(operation: str) -> None:
    images = random_images((17, 23), n=3, channels=4)
    magnitudes = [*MAGNITUDES[operation], 0.0]
    together = run(operation, images, *magnitudes)
    for n, c in [(0, 0), (1, 3), (2, 1)]:
        alone = run(operation, images[n : n + 1, c : c + 1], magnitudes[n])
        torch.testing.assert_close(together[n : n + 1, c : c + 1], alone)


@pytest.mark.parametrize('padding', affine.PADDINGS)
@pytest.mark.parametrize('operation', OPERATIONS)
def test_gradients_of_images_and_magnitude(operation: str, padding: str) -> None:
    images = random_images((5, 7), channels=1).requires_grad_()
    magnitude = torch.tensor(MAGNITUDES[operation], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, m: getattr(affine, operation)(x, m, padding), (images, magnitude))


@pytest.mark.parametrize('padding', affine.PADDINGS)
def test_warp_follows_the_convention_of_affine_grid(padding: str) -> None:
    images = random_images((17, 23))
    theta = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    expected = F.grid_sample(images, grid, padding_mode=padding, align_corners=False)
    torch.testing.assert_close(affine.warp_affine(images, theta, padding), expected)


@pytest.mark.parametrize('operation', OPERATIONS)
def test_autocast_does_not_move_pixels(operation: str) -> None:
    images = random_images((32, 24), dtype=torch.float32)
    expected = run(operation, images, *MAGNITUDES[operation])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        warped = run(operation, images, *MAGNITUDES[operation])
    torch.testing.assert_close(warped, expected)


def test_half_precision_images_are_sampled_in_the_precision_of_their_matrices() -> None:
    images = random_images((32, 24)).bfloat16()
    magnitude = torch.tensor([-0.31, 0.12])
    warped = affine.translate_x(images, magnitude)
    torch.testing.assert_close(warped, affine.translate_x(images.float(), magnitude).bfloat16(), atol=0, rtol=0)


@pytest.mark.parametrize('operation', OPERATIONS)
def test_unknown_padding_is_refused(operation: str) -> None:
    with pytest.raises(ValueError, match="padding must be one of .*'reflection'.*, got 'mirror'"):
        run(operation, random_images((8, 8)), 0.1, 0.1, padding='mirror')


@pytest.mark.parametrize('operation', OPERATIONS)
@pytest.mark.parametrize('shape', [(), (1,), (3,), (2, 1)])
def test_other_than_one_magnitude_per_image_is_refused(operation: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r'theta must be \(2, 2, 3\)'):
        getattr(affine, operation)(random_images((8, 8)), torch.zeros(shape))


def random_matrices(n: int, seed: int, spread: float = 0.4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.eye(2, 3, dtype=torch.float64) + spread * torch.randn(
        n, 2, 3, generator=generator, dtype=torch.float64
    )


def homogeneous(theta: Tensor) -> Tensor:
    """(N, 2, 3) -> (N, 3, 3)."""
    return torch.cat([theta, theta.new_tensor([[0, 0, 1]]).expand(len(theta), 1, 3)], dim=1)


def test_composed_matrix_is_the_product_of_the_homogeneous_matrices() -> None:
    first, second = random_matrices(5, seed=1), random_matrices(5, seed=2)
    composed = affine.compose(first, second)
    assert composed.shape == (5, 2, 3)
    torch.testing.assert_close(homogeneous(composed), homogeneous(first) @ homogeneous(second))


def test_turn_and_then_shift_is_not_shift_and_then_turn() -> None:
    turn, shift = random_matrices(1, seed=1), torch.tensor([[[1, 0, 0.5], [0, 1, 0]]], dtype=torch.float64)
    assert (affine.compose(turn, shift) - affine.compose(shift, turn)).abs().max() > 0.01


def test_composition_is_associative_and_has_the_identity() -> None:
    a, b, c = (random_matrices(3, seed=seed) for seed in range(3))
    identity = torch.eye(2, 3, dtype=torch.float64).expand(3, 2, 3)
    torch.testing.assert_close(affine.compose(identity, a), a)
    torch.testing.assert_close(affine.compose(a, identity), a)
    torch.testing.assert_close(affine.compose(affine.compose(a, b), c), affine.compose(a, affine.compose(b, c)))


@pytest.mark.parametrize('second', OPERATIONS)
@pytest.mark.parametrize('first', OPERATIONS)
def test_composed_warp_is_the_first_and_then_the_second(first: str, second: str) -> None:
    """In the middle of a smooth image, where nothing is lost in between."""
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in (64, 96)), indexing='ij')
    image = (torch.sin(0.15 * x + 0.05 * y) + torch.cos(0.12 * y))[None, None]
    strengths = {name: torch.tensor([MAGNITUDES[name][1] * 0.7], dtype=torch.float64) for name in OPERATIONS}
    matrices = [getattr(affine, f'{name}_matrix')(strengths[name], (64, 96)) for name in (first, second)]
    one_by_one = getattr(affine, second)(getattr(affine, first)(image, strengths[first]), strengths[second])
    middle = (..., slice(24, 40), slice(36, 60))
    at_once = affine.warp_affine(image, affine.compose(*matrices))[middle]
    torch.testing.assert_close(at_once, one_by_one[middle], atol=0.02, rtol=0)


@pytest.mark.parametrize('padding', affine.PADDINGS)
def test_gradient_passes_through_composed_warps(padding: str) -> None:
    images = random_images((5, 7), channels=1)
    matrices = [random_matrices(2, seed=seed).requires_grad_() for seed in (1, 2)]
    assert torch.autograd.gradcheck(lambda a, b: affine.warp_affine(images, affine.compose(a, b), padding), matrices)


@pytest.mark.parametrize('operation', OPERATIONS)
def test_way_there_and_back_is_the_identity(operation: str) -> None:
    magnitude = torch.tensor(MAGNITUDES[operation], dtype=torch.float64)
    back = 1 / (1 + magnitude) - 1 if operation == 'scale' else -magnitude
    there_and_back = affine.compose(*(getattr(affine, f'{operation}_matrix')(m, (17, 23)) for m in (magnitude, back)))
    torch.testing.assert_close(there_and_back, torch.eye(2, 3, dtype=torch.float64).expand(2, 2, 3))
