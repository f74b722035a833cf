"""How normalised images stand to the colours, RGB in [0, 1], that photometric operations work on."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CHANNEL_ORDERS = ('rgb', 'bgr')


class Pixels(nn.Module):
    """Scales images to unit range and back, without moving their zero.

    A normalised image is (pixel - mean) / std. Scaled, it is colour - :attr:`zero` with colours in [0, 1]: warps and
    sums take it as it is, and a colour operation adds ``zero`` before and subtracts it afterwards.

    Args:
        mean, std: the normalisation that the images have undergone, per channel in pixel values; None: the images are
            colours in [0, 1].
        max_value: the pixel value that is white: 255 (default) for 8 bits, 65535 for 16, 1 for floats.
        channel_order: of images with three channels, ``'rgb'`` (default) or ``'bgr'``; scaled images are RGB.

    Attributes:
        zero: (C, 1, 1) or 0.0, the colour of a normalised 0.

    Raises:
        ValueError: for one of mean and std without the other, a white that is not positive or an unknown order.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        max_value: float = 255.0,
        channel_order: str = 'rgb',
    ) -> None:
        super().__init__()
        if (mean is None) != (std is None):
            raise ValueError(f'give both mean and std or neither, got mean={mean}, std={std}')
        if not max_value > 0:
            raise ValueError(f'max_value must be positive, got {max_value}')
        if channel_order not in CHANNEL_ORDERS:
            raise ValueError(f'channel_order must be one of {CHANNEL_ORDERS}, got {channel_order!r}')
        self.channel_order = channel_order
        self.zero: Tensor | float = 0.0
        self.unit: Tensor | None = None
        if mean is not None:
            zero = torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1) / max_value
            unit = torch.tensor(std, dtype=torch.float32).view(-1, 1, 1) / max_value
            del self.zero, self.unit
            self.register_buffer('zero', self._to_rgb(zero), persistent=False)
            self.register_buffer('unit', unit, persistent=False)

    def scale(self, images: Tensor) -> Tensor:
        """(..., C, H, W), normalised -> colours less ``zero``, at least in single precision."""
        return self._to_rgb(images if self.unit is None else images * self.unit)

    def unscale(self, images: Tensor) -> Tensor:
        """Inverse of :meth:`scale`."""
        images = self._to_rgb(images)
        return images if self.unit is None else images / self.unit

    def _to_rgb(self, images: Tensor) -> Tensor:
        """RGB of images in ``channel_order``, and back."""
        return images.flip(-3) if self.channel_order == 'bgr' and images.shape[-3] == 3 else images
