"""Photometric frame operations: the colour operations of AutoAugment (Cubuk et al., CVPR 2019), noise and cutout.

Images are (N, C, H, W) with values in [0, 1], strengths (N,), one per image; strength 0 leaves an image as it is. All
operations treat channels alike and take any C, but for ``contrast`` and ``saturation``, which need to know what grey is
and therefore take C = 3 (RGB) or C = 1. Results agree with torchvision's, whose functions take one number for all
images and have no gradient in it. Steps (solarize, posterize, equalize) pass the gradient to the image straight through
(Bengio et al., 2013), as if they were the identity.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def brightness(images: Tensor, magnitude: Tensor) -> Tensor:
    """Multiply images by a factor; 0 is black.

    Args:
        images: (N, C, H, W) in [0, 1].
        magnitude: (N,), the factor is max(0, 1 + magnitude).

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in both arguments; below -1 the gradient of the magnitude is zero.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    return ((1 + _per_image(magnitude, images)).clamp(min=0) * images).clamp(0, 1)


def contrast(images: Tensor, magnitude: Tensor) -> Tensor:
    """Move pixels away from (positive) or towards (negative) the mean grey of their image.

    Args:
        images: (N, C, H, W) in [0, 1], C = 3 (RGB) or 1.
        magnitude: (N,), the factor is max(0, 1 + magnitude).

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in both arguments; below -1 the gradient of the magnitude is zero.

    Raises:
        ValueError: If C is neither 3 nor 1 or magnitude is not (N,).
    """
    return _adjust(images, _grey(images).mean(dim=(-3, -2, -1), keepdim=True), magnitude)


def saturation(images: Tensor, magnitude: Tensor) -> Tensor:
    """Move colours away from (positive) or towards (negative) the grey of their pixel.

    Args:
        images: (N, C, H, W) in [0, 1], C = 3 (RGB) or 1, which has no colour and stays as it is.
        magnitude: (N,), the factor is max(0, 1 + magnitude).

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in both arguments; below -1 the gradient of the magnitude is zero.

    Raises:
        ValueError: If C is neither 3 nor 1 or magnitude is not (N,).
    """
    return _adjust(images, _grey(images), magnitude)


def sharpness(images: Tensor, magnitude: Tensor) -> Tensor:
    """Sharpen (positive) or smooth (negative) images; the outermost pixels stay as they are.

    Args:
        images: (N, C, H, W) in [0, 1]; below 3 x 3 pixels there is nothing to smooth and they stay as they are.
        magnitude: (N,), the factor is max(0, 1 + magnitude).

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in both arguments; below -1 the gradient of the magnitude is zero.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    return _adjust(images, smoothed(images), magnitude)


def smoothed(images: Tensor) -> Tensor:
    """Weigh the 3 x 3 neighbours 1 and the pixel 5, by 13 in all; the outermost pixels stay as they are.

    A sum of nine and four times the pixel is that filter, without a convolution, which autocast would run in half
    precision.
    """
    if min(images.shape[-2:]) < 3:
        return images
    wide = images.to(torch.promote_types(images.dtype, torch.float32))
    inner = wide[..., 1:-1, 1:-1]
    difference = _box_sum(wide, 3).add_(inner, alpha=4).div_(13).sub_(inner)
    return F.pad(difference, (1, 1, 1, 1)).add_(wide).to(images.dtype)


def solarize(images: Tensor, magnitude: Tensor) -> Tensor:
    """Invert the pixels at or above a threshold.

    Args:
        images: (N, C, H, W) in [0, 1].
        magnitude: (N,) in [-1, 1], the threshold is 1 - abs(magnitude). At 0 white stays white.

    Returns:
        (N, C, H, W) in [0, 1]. No gradient in the magnitude; straight through to the images.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    strength = _per_image(magnitude, images).abs()
    threshold = torch.where(strength > 0, 1 - strength, 2)  # which no pixel reaches
    values = images.detach()
    return _straight_through(images, torch.lerp(values, 1 - values, _at_least(values, threshold)))


def solarize_add(images: Tensor, magnitude: Tensor) -> Tensor:
    """Brighten the pixels of the lower half of the range (RandAugment's code, Cubuk et al., 2020).

    Args:
        images: (N, C, H, W) in [0, 1].
        magnitude: (N,) in [0, 1], what is added to values below 0.5.

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in both arguments.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    added = (images + _per_image(magnitude, images)).clamp(0, 1)
    return torch.lerp(added, images, _at_least(images.detach(), 0.5))


def blur(images: Tensor, magnitude: Tensor) -> Tensor:
    """Replace pixels by the mean of the ring two pixels away, as Pillow's ``ImageFilter.BLUR``.

    Args:
        images: (N, C, H, W) in [0, 1]; below 5 x 5 pixels they stay as they are, and the two outermost pixels always.
        magnitude: (N,), without meaning.

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in the images.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    _per_image(magnitude, images)
    if min(images.shape[-2:]) < 5:
        return images
    wide = images.to(torch.promote_types(images.dtype, torch.float32))
    ring = _box_sum(wide, 5).sub_(_box_sum(wide[..., 1:-1, 1:-1], 3))
    difference = ring.div_(16).sub_(wide[..., 2:-2, 2:-2])
    return F.pad(difference, (2, 2, 2, 2)).add_(wide).to(images.dtype)


def posterize(images: Tensor, magnitude: Tensor) -> Tensor:
    """Keep the leading bits of every pixel.

    Args:
        images: (N, C, H, W) in [0, 1].
        magnitude: (N,) in [-7, 7], 8 - round(abs(magnitude)) of 8 bits are kept, at least one. As in torchvision's
            version for floats, b bits are the levels 0, 1 / 2^b, ..., 1 - 1 / 2^b. All 8 bits leave the image as it is.

    Returns:
        (N, C, H, W) in [0, 1]. No gradient in the magnitude; straight through to the images.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    dropped = _per_image(magnitude, images).abs().round().clamp(max=7)
    levels = 2 ** (8 - dropped)
    values = images.detach()
    stepped = (values * levels).floor_().clamp_(min=0).minimum(levels - 1).div_(levels)
    return _straight_through(images, torch.lerp(values, stepped, (dropped > 0).to(values.dtype)))


def invert(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blend images with their negative.

    Args:
        images: (N, C, H, W) in [0, 1].
        magnitude: (N,), abs(magnitude) in [0, 1] is the share of the negative; beyond, 1.

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in both arguments; at 0 the gradient of the magnitude is zero.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    return _blend(images, 1 - images, magnitude)


def auto_contrast(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blend images with their version stretched, channel by channel, to the full range.

    Args:
        images: (N, C, H, W) in [0, 1]; a channel of one value stays as it is.
        magnitude: (N,), abs(magnitude) in [0, 1] is the share of the stretched version; beyond, 1.

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in both arguments; at 0 the gradient of the magnitude is zero.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    return _blend(images, stretched(images), magnitude)


def stretched(images: Tensor) -> Tensor:
    """Images (N, C, H, W) whose channels reach from 0 to 1; a channel of one value stays as it is."""
    # torchvision's version changes tensors in place that its own backward pass needs
    low = images.amin(dim=(-2, -1), keepdim=True)
    span = images.amax(dim=(-2, -1), keepdim=True) - low
    flat = span == 0
    return (images - torch.where(flat, 0, low)) / torch.where(flat, 1, span)


def equalize(images: Tensor, magnitude: Tensor) -> Tensor:
    """Blend images with their version whose histogram is flat, channel by channel, on 256 levels.

    Args:
        images: (N, C, H, W) in [0, 1].
        magnitude: (N,), abs(magnitude) in [0, 1] is the share of the equalised version; beyond, 1.

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in the magnitude, where the gradient is zero at 0; straight through to
        the images.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    return _blend(images, equalized(images), magnitude)


def equalized(images: Tensor) -> Tensor:
    """Images (N, C, H, W) in [0, 1] with a flat histogram of 256 levels in each channel; straight-through gradient."""
    from torchvision.transforms.v2.functional import equalize as equalize_levels

    return _straight_through(images, equalize_levels(images.detach().clamp(0, 1)))


def noise(images: Tensor, magnitude: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Add Gaussian noise, independent for every pixel and channel.

    Args:
        images: (N, C, H, W) in [0, 1].
        magnitude: (N,), abs(magnitude) is the standard deviation.
        generator: Source of the draws, on any device; None (default) is the global one of the images' device.

    Returns:
        (N, C, H, W) in [0, 1]. Differentiable in both arguments where nothing is clipped.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    device = images.device if generator is None else generator.device
    draws = torch.randn(images.shape, generator=generator, dtype=images.dtype, device=device).to(images.device)
    return (images + _per_image(magnitude, images).abs() * draws).clamp(0, 1)


def cutout(images: Tensor, magnitude: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Cover a square of every image (DeVries & Taylor, 2017), its centre anywhere in the image.

    The square is grey, 0.5: the middle of the range, which is near zero once images are normalised, so that the hole
    says nothing. Black would be an object of its own.

    Args:
        images: (N, C, H, W) in [0, 1].
        magnitude: (N,), the side is abs(magnitude) * min(H, W); what reaches over the border is cut off.
        generator: Source of the draws, on any device; None (default) is the global one of the images' device.

    Returns:
        (N, C, H, W) in [0, 1]. No gradient in the magnitude; the images' passes outside the hole.

    Raises:
        ValueError: If magnitude is not (N,).
    """
    n, _, height, width = images.shape
    device = images.device if generator is None else generator.device
    draws = torch.rand((2, n, 1, 1, 1), generator=generator, dtype=images.dtype, device=device).to(images.device)
    half = _per_image(magnitude, images).abs() * (min(height, width) / 2)
    rows = torch.arange(height, dtype=images.dtype, device=images.device)[:, None] + 0.5  # (H, 1)
    columns = torch.arange(width, dtype=images.dtype, device=images.device) + 0.5  # (W,)
    hole = ((rows - draws[0] * height).abs() < half) & ((columns - draws[1] * width).abs() < half)  # (N, 1, H, W)
    return torch.where(hole, 0.5, images)


def _per_image(magnitude: Tensor, images: Tensor) -> Tensor:
    """(N,) -> (N, 1, 1, 1) in the images' dtype."""
    if magnitude.shape != images.shape[:1]:
        raise ValueError(f'magnitude must be ({len(images)},), one per image, got {tuple(magnitude.shape)}')
    return magnitude.to(images.dtype)[:, None, None, None]


def _adjust(images: Tensor, degenerate: Tensor, magnitude: Tensor) -> Tensor:
    """Go from the degenerate image (factor 0) through the image (factor 1) and beyond, within [0, 1]."""
    factor = (1 + _per_image(magnitude, images)).clamp(min=0)
    return torch.lerp(degenerate, images, factor).clamp(0, 1)


def _blend(images: Tensor, changed: Tensor, magnitude: Tensor) -> Tensor:
    """Mix in a share abs(magnitude), at most 1, of the changed images."""
    return torch.lerp(images, changed, _per_image(magnitude, images).abs().clamp(max=1))


def _at_least(values: Tensor, threshold: Tensor | float) -> Tensor:
    """1 where values reach a threshold, else 0, as floats: on CPUs several times as fast as by booleans."""
    return (values - threshold).sign_().add_(1).clamp_(max=1)


def _box_sum(images: Tensor, side: int) -> Tensor:
    """(N, C, H, W) -> (N, C, H - side + 1, W - side + 1), sums of squares, rows and columns one after the other."""
    width, height = images.shape[-1] - side + 1, images.shape[-2] - side + 1
    rows = images[..., :width] + images[..., 1 : width + 1]
    for start in range(2, side):
        rows = rows.add_(images[..., start : start + width])
    sums = rows[..., :height, :] + rows[..., 1 : height + 1, :]
    for start in range(2, side):
        sums = sums.add_(rows[..., start : start + height, :])
    return sums


def _straight_through(images: Tensor, changed: Tensor) -> Tensor:
    """The changed images' values with the images' gradient."""
    return (changed.detach() - images.detach()).add_(images)


def _grey(images: Tensor) -> Tensor:
    """(N, 1, H, W), the luma of RGB images; grey images are their own."""
    channels = images.shape[1]
    if channels not in (1, 3):
        raise ValueError(f'images must have 3 (RGB) or 1 channels to have a grey, got {channels}')
    if channels == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    return 0.2989 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601 as torchvision rounds it
