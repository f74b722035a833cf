"""Pictures of what a network sees: the normalised image as colours again."""

from typing import Any

import numpy as np
from torch import Tensor

from mmdas.models.data_preprocessors.pixel_values import EIGHT_BITS, PixelError, find_max_value


def colour_order(preprocessor: Any) -> str:
    """Order of the colours that a network takes, ``'rgb'`` or ``'bgr'``; as files are read where nothing says it."""
    converts = any(getattr(preprocessor, name, False) for name in ('to_rgb', 'channel_conversion'))
    return getattr(preprocessor, 'channel_order', None) or ('rgb' if converts else 'bgr')


def to_picture(image: Tensor, preprocessor: Any, order: str | None = None) -> np.ndarray:
    """A normalised image as RGB colours.

    Args:
        image: (C, H, W); of other than 1 or 3 channels the first one is shown, as grey.
        preprocessor: that has normalised it.
        order: of its colours, ``'rgb'`` or ``'bgr'``. Default: see :func:`colour_order`.

    Returns:
        (H, W, 3), uint8. Pixels of no known range are stretched to it.
    """
    pixels, white = image.detach().float().cpu(), EIGHT_BITS
    mean, std = [0.0], [1.0]
    if getattr(preprocessor, '_enable_normalize', False):
        mean, std = (getattr(preprocessor, name).flatten().tolist() for name in ('mean', 'std'))
        pixels = pixels * pixels.new_tensor(std).view(-1, 1, 1) + pixels.new_tensor(mean).view(-1, 1, 1)
    try:
        white = getattr(preprocessor, 'max_value', None) or find_max_value(mean, std, ())
    except PixelError:
        pixels = pixels - pixels.min()
        white = max(float(pixels.max()), 1e-6)
    pixels = pixels if len(pixels) == 3 else pixels[:1].expand(3, -1, -1)
    pixels = pixels.flip(0) if (order or colour_order(preprocessor)) == 'bgr' else pixels
    colours = (pixels / white * EIGHT_BITS).round().clamp(0, EIGHT_BITS)
    return colours.permute(1, 2, 0).numpy().astype(np.uint8)
