"""Mirror images and label maps of a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor


def horizontal_flip_matrix(magnitude: Tensor, size: tuple[int, ...]) -> Tensor:
    """Matrix of a mirror left to right.

    Args:
        magnitude: (N,), only its length counts.
        size: (H, W) in pixels, without meaning here; all matrices are made alike.

    Returns:
        (N, 2, 3) for :func:`mmdas.ops.affine.warp_affine`.
    """
    return magnitude.new_tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).expand(len(magnitude), 2, 3)


def vertical_flip_matrix(magnitude: Tensor, size: tuple[int, ...]) -> Tensor:
    """Matrix of a mirror top to bottom; see :func:`horizontal_flip_matrix`."""
    return magnitude.new_tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]).expand(len(magnitude), 2, 3)


def horizontal_flip(images: Tensor, magnitude: Tensor) -> Tensor:
    """Mirror images (N, C, H, W) left to right; the magnitude has no meaning."""
    return torch.flip(images, (-1,))


def horizontal_flips_matrix(magnitude: Tensor, size: Sequence[int]) -> Tensor:
    """Matrix of :func:`horizontal_flips`.

    Args:
        magnitude: (N,), how often; rounded.
        size: (H, W) in pixels, without meaning here.

    Returns:
        (N, 2, 3) for :func:`mmdas.ops.affine.warp_affine`.
    """
    one, zero = torch.ones_like(magnitude), torch.zeros_like(magnitude)
    sign = torch.where(_is_odd(magnitude), -one, one)
    return torch.stack([sign, zero, zero, zero, one, zero], dim=-1).unflatten(-1, (2, 3))


def horizontal_flips(images: Tensor, magnitude: Tensor, padding: str = 'zeros') -> Tensor:
    """Mirror images left to right as often as their magnitudes say.

    Args:
        images: (N, C, H, W), any range.
        magnitude: (N,), how often; rounded, of both signs. Odd numbers mirror an image, even ones leave it as it is.
        padding: without meaning, for nothing is uncovered.

    Returns:
        (N, C, H, W). Differentiable in the images alone.
    """
    return torch.where(_is_odd(magnitude)[:, None, None, None], torch.flip(images, (-1,)), images)


def _is_odd(magnitude: Tensor) -> Tensor:
    return magnitude.detach().round() % 2 == 1


def vertical_flip(images: Tensor, magnitude: Tensor) -> Tensor:
    """Mirror images (N, C, H, W) top to bottom; the magnitude has no meaning."""
    return torch.flip(images, (-2,))
