"""The same affine warps in the words of other packages."""

import importlib.util

import torch
from torch import Tensor

# The ranges of the search configs (configs/_base_/search.py).
RANGES = {'translate_x': (-0.06, 0.06), 'translate_y': (-0.06, 0.06), 'rotate': (-10.0, 10.0), 'scale': (-0.15, 0.15)}


def is_installed(package: str) -> bool:
    """Whether a contestant's package is there; says so where it is not."""
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(f"{package} is left out: it is not installed (pip install '.[bench]')")
    return found


def pixel_matrices(theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Matrices from input to output pixels, as kornia wants them, of those from output to input in mmdas' coordinates.

    Args:
        theta: (N, 2, 3), as of ``mmdas.ops.affine.warp_affine``.
        size: (H, W).

    Returns:
        (N, 2, 3).
    """
    height, width = size
    normalise = torch.tensor(
        [[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]], dtype=torch.float64
    )
    last = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(len(theta), 1, 3)
    backwards = normalise.inverse() @ torch.cat([theta.double().cpu(), last], dim=1) @ normalise
    return backwards.inverse()[:, :2].to(theta)


def kornia_warp(images: Tensor, matrices: Tensor) -> Tensor:
    """kornia's ``warp_affine``: (N, C, H, W) by (N, 2, 3) of :func:`pixel_matrices`."""
    from kornia.geometry.transform import warp_affine

    return warp_affine(images, matrices, images.shape[-2:], mode='bilinear', padding_mode='zeros')
