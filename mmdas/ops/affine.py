"""Affine frame operations: translate, rotate, scale and shear as bilinear warps.

The paper's space (Sec. 3, "Your Image is My Video", CVPR 2024) is translation, rotation and scale; shear is in the
search space of AutoAugment (Cubuk et al., CVPR 2019). Every operation is ``warp_affine`` with its matrix, so whoever
wants to combine operations multiplies matrices and warps once.

A matrix maps *output to input* coordinates, as ``torch.nn.functional.affine_grid`` with ``align_corners=False`` does:
both coordinates run from -1 to 1 between the outer edges of the image, y downwards.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

PADDINGS = ('zeros', 'border', 'reflection')


def warp_affine(images: Tensor, theta: Tensor, padding: str = 'zeros') -> Tensor:
    """Sample every image bilinearly where its matrix says.

    Args:
        images: (N, C, H, W), floating point, any range and any C: all channels of an image move alike.
        theta: (N, 2, 3), maps normalised output to normalised input coordinates (see the module's docstring). Where
            its precision is higher than the images', the sampling takes place in it.
        padding: What lies outside the image: 'zeros' (default), 'border' (the nearest pixel) or 'reflection' (mirrored
            at the outer edges).

    Returns:
        (N, C, H, W) in the dtype of the images. Differentiable in both tensors.

    Raises:
        ValueError: If the padding is unknown or theta is not (N, 2, 3).
    """
    if padding not in PADDINGS:
        raise ValueError(f'padding must be one of {PADDINGS}, got {padding!r}')
    if theta.shape != (images.shape[0], 2, 3):  # not len(), which would be a constant of a graph
        raise ValueError(
            f'theta must be ({images.shape[0]}, 2, 3), one matrix (or magnitude) per image, got {tuple(theta.shape)}'
        )
    dtype = torch.promote_types(images.dtype, theta.dtype)
    grid = sampling_grid(theta.to(dtype), images.shape[-2:])
    warped = F.grid_sample(images.to(dtype), grid, mode='bilinear', padding_mode=padding, align_corners=False)
    return warped.to(images.dtype)


def compose(first: Tensor, second: Tensor) -> Tensor:
    """Matrix of a warp by ``first`` and then one by ``second``.

    One warp by it samples once, where two warps sample twice, blur twice and lose what lies outside in between.

    Args:
        first, second: (N, 2, 3).

    Returns:
        (N, 2, 3).
    """
    linear, shift = second.split([2, 1], dim=-1)
    moved = first[..., :2] @ shift + first[..., 2:]
    return torch.cat([first[..., :2] @ linear, moved], dim=-1)


def inverse(theta: Tensor) -> Tensor:
    """Matrix of the warp that undoes another.

    Args:
        theta: (N, 2, 3), whose linear parts have a determinant other than 0.

    Returns:
        (N, 2, 3): ``compose(theta, inverse(theta))`` is the identity.
    """
    a, b, c, d = theta[..., :2].flatten(-2).unbind(-1)  # written out: ONNX has no inverse
    linear = torch.stack([d, -b, -c, a], dim=-1).unflatten(-1, (2, 2)) / (a * d - b * c)[..., None, None]
    return torch.cat([linear, -linear @ theta[..., 2:]], dim=-1)


def within_canvas(theta: Tensor, size: Sequence[int], canvas: Sequence[int]) -> Tensor:
    """Matrix, for a padded image, of a warp of what lies in its upper left corner.

    Args:
        theta: (N, 2, 3), of the warp of the corner alone.
        size: (H, W) of the corner.
        canvas: (H, W) of the padded image.

    Returns:
        (N, 2, 3), between the normalised coordinates of the canvas.
    """
    if tuple(size) == tuple(canvas):
        return theta
    ratio = theta.new_tensor([canvas[1] / size[1], canvas[0] / size[0]])  # of x and y
    into = torch.cat([ratio.diag(), (ratio - 1)[:, None]], dim=1).expand_as(theta)  # canvas to corner
    return compose(inverse(into), compose(theta, into))


def content_mask(maps: Tensor, size: Sequence[int], canvas: Sequence[int]) -> Tensor:
    """(h, w), 1 where the centre of a cell of the maps (..., h, w) over the canvas lies in an image of ``size``."""
    inside = []
    for side, whole, count in zip(size, canvas, maps.shape[-2:], strict=True):
        centres = (torch.arange(count, device=maps.device) + 0.5) * (whole / count)
        inside.append(centres < side)
    return (inside[0][:, None] & inside[1]).to(maps.dtype)


def translate_x_matrix(magnitude: Tensor, size: Sequence[int]) -> Tensor:
    """Matrix of ``translate_x``.

    Args:
        magnitude: (N,), fraction of the width; positive moves the content right.
        size: (H, W) in pixels; a fraction needs no size, the argument is there so that all matrices are made alike.

    Returns:
        (N, 2, 3) for ``warp_affine``.
    """
    one, zero = torch.ones_like(magnitude), torch.zeros_like(magnitude)
    return _matrix((one, zero, -2 * magnitude), (zero, one, zero))


def translate_y_matrix(magnitude: Tensor, size: Sequence[int]) -> Tensor:
    """Matrix of ``translate_y``.

    Args:
        magnitude: (N,), fraction of the height; positive moves the content down.
        size: (H, W) in pixels; a fraction needs no size, the argument is there so that all matrices are made alike.

    Returns:
        (N, 2, 3) for ``warp_affine``.
    """
    one, zero = torch.ones_like(magnitude), torch.zeros_like(magnitude)
    return _matrix((one, zero, zero), (zero, one, -2 * magnitude))


def rotate_matrix(magnitude: Tensor, size: Sequence[int]) -> Tensor:
    """Matrix of ``rotate``.

    Args:
        magnitude: (N,), degrees, positive counter-clockwise.
        size: (H, W) in pixels: an angle is one between pixels, not between sides that both count as two units.

    Returns:
        (N, 2, 3) for ``warp_affine``.
    """
    height, width = size
    angle = torch.deg2rad(magnitude)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _matrix((cos, -sin * (height / width), zero), (sin * (width / height), cos, zero))


def scale_matrix(magnitude: Tensor, size: Sequence[int]) -> Tensor:
    """Matrix of ``scale``.

    Args:
        magnitude: (N,), greater than -1 (not checked); the factor is 1 + magnitude.
        size: (H, W) in pixels; a factor needs no size, the argument is there so that all matrices are made alike.

    Returns:
        (N, 2, 3) for ``warp_affine``.
    """
    inverse, zero = 1 / (1 + magnitude), torch.zeros_like(magnitude)
    return _matrix((inverse, zero, zero), (zero, inverse, zero))


def shear_x_matrix(magnitude: Tensor, size: Sequence[int]) -> Tensor:
    """Matrix of ``shear_x``.

    Args:
        magnitude: (N,), pixels of shift per pixel of distance from the centre row.
        size: (H, W) in pixels.

    Returns:
        (N, 2, 3) for ``warp_affine``.
    """
    height, width = size
    one, zero = torch.ones_like(magnitude), torch.zeros_like(magnitude)
    return _matrix((one, magnitude * (height / width), zero), (zero, one, zero))


def shear_y_matrix(magnitude: Tensor, size: Sequence[int]) -> Tensor:
    """Matrix of ``shear_y``.

    Args:
        magnitude: (N,), pixels of shift per pixel of distance from the centre column.
        size: (H, W) in pixels.

    Returns:
        (N, 2, 3) for ``warp_affine``.
    """
    height, width = size
    one, zero = torch.ones_like(magnitude), torch.zeros_like(magnitude)
    return _matrix((one, zero, zero), (magnitude * (width / height), one, zero))


def translate_x(images: Tensor, magnitude: Tensor, padding: str = 'zeros') -> Tensor:
    """Move images sideways by a fraction of their width.

    Args:
        images: (N, C, H, W), any range.
        magnitude: (N,), fraction of W, usually in [-1, 1]; positive moves the content right, 0 leaves it as it is.
        padding: What fills the uncovered part: 'zeros' (default), 'border' or 'reflection'.

    Returns:
        (N, C, H, W). Differentiable in images and magnitude.

    Raises:
        ValueError: If the padding is unknown or magnitude is not (N,).
    """
    return warp_affine(images, translate_x_matrix(magnitude, images.shape[-2:]), padding)


def translate_y(images: Tensor, magnitude: Tensor, padding: str = 'zeros') -> Tensor:
    """Move images up or down by a fraction of their height.

    Args:
        images: (N, C, H, W), any range.
        magnitude: (N,), fraction of H, usually in [-1, 1]; positive moves the content down, 0 leaves it as it is.
        padding: What fills the uncovered part: 'zeros' (default), 'border' or 'reflection'.

    Returns:
        (N, C, H, W). Differentiable in images and magnitude.

    Raises:
        ValueError: If the padding is unknown or magnitude is not (N,).
    """
    return warp_affine(images, translate_y_matrix(magnitude, images.shape[-2:]), padding)


def rotate(images: Tensor, magnitude: Tensor, padding: str = 'zeros') -> Tensor:
    """Turn images about their centre.

    Args:
        images: (N, C, H, W), any range.
        magnitude: (N,), degrees; positive turns counter-clockwise as torchvision's ``rotate``, 0 leaves the image as it
            is.
        padding: What fills the uncovered part: 'zeros' (default), 'border' or 'reflection'.

    Returns:
        (N, C, H, W). Differentiable in images and magnitude.

    Raises:
        ValueError: If the padding is unknown or magnitude is not (N,).
    """
    return warp_affine(images, rotate_matrix(magnitude, images.shape[-2:]), padding)


def scale(images: Tensor, magnitude: Tensor, padding: str = 'zeros') -> Tensor:
    """Enlarge or shrink the content of images about their centre; the images keep their size.

    Args:
        images: (N, C, H, W), any range.
        magnitude: (N,), greater than -1 (not checked, a check would wait for the GPU); the factor is 1 + magnitude:
            positive enlarges, 0 leaves the image as it is.
        padding: What fills the uncovered part: 'zeros' (default), 'border' or 'reflection'.

    Returns:
        (N, C, H, W). Differentiable in images and magnitude.

    Raises:
        ValueError: If the padding is unknown or magnitude is not (N,).
    """
    return warp_affine(images, scale_matrix(magnitude, images.shape[-2:]), padding)


def shear_x(images: Tensor, magnitude: Tensor, padding: str = 'zeros') -> Tensor:
    """Shift rows sideways in proportion to their distance from the centre row.

    Args:
        images: (N, C, H, W), any range.
        magnitude: (N,), pixels per pixel (the tangent of the angle); positive moves the rows below the centre left and
            those above it right, the sign of torchvision's ``affine`` and of AutoAugment; 0 leaves the image as it is.
        padding: What fills the uncovered part: 'zeros' (default), 'border' or 'reflection'.

    Returns:
        (N, C, H, W). Differentiable in images and magnitude.

    Raises:
        ValueError: If the padding is unknown or magnitude is not (N,).
    """
    return warp_affine(images, shear_x_matrix(magnitude, images.shape[-2:]), padding)


def shear_y(images: Tensor, magnitude: Tensor, padding: str = 'zeros') -> Tensor:
    """Shift columns up and down in proportion to their distance from the centre column.

    Args:
        images: (N, C, H, W), any range.
        magnitude: (N,), pixels per pixel (the tangent of the angle); positive moves the columns right of the centre up
            and those left of it down, the sign of torchvision's ``affine`` and of AutoAugment; 0 leaves the image as
            it is.
        padding: What fills the uncovered part: 'zeros' (default), 'border' or 'reflection'.

    Returns:
        (N, C, H, W). Differentiable in images and magnitude.

    Raises:
        ValueError: If the padding is unknown or magnitude is not (N,).
    """
    return warp_affine(images, shear_y_matrix(magnitude, images.shape[-2:]), padding)


def _matrix(x_row: tuple[Tensor, Tensor, Tensor], y_row: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Stack six (N,) entries to (N, 2, 3)."""
    return torch.stack([torch.stack(x_row, dim=-1), torch.stack(y_row, dim=-1)], dim=-2)


def sampling_grid(theta: Tensor, size: Sequence[int], rows: int | None = None) -> Tensor:
    """(N, H, W, 2), the input coordinates of every output pixel, or of those of the first ``rows`` rows.

    ``F.affine_grid`` makes the same by a matrix product, which autocast runs in half precision: pixels would land
    beside their place and even the identity would blur the image.
    """
    height, width = size
    x = pixel_centres(width, theta)  # (W,)
    y = pixel_centres(height, theta)[:rows, None]  # (H, 1)
    a, b, c = theta[..., None, None].unbind(dim=2)  # (N, 2, 1, 1) each
    return (a * x + b * y + c).movedim(1, -1)


def pixel_centres(length: int, like: Tensor) -> Tensor:
    """(length,), normalised coordinates of the pixel centres along one side."""
    return (2 * torch.arange(length, dtype=like.dtype, device=like.device) + 1) / length - 1
