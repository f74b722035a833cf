"""Mirror images and label maps of a batch."""

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


def vertical_flip(images: Tensor, magnitude: Tensor) -> Tensor:
    """Mirror images (N, C, H, W) top to bottom; the magnitude has no meaning."""
    return torch.flip(images, (-2,))
