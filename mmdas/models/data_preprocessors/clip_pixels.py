"""What the pixels of a clip are, for operations on colours."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmdas.search.das import Pixels

from .pixel_values import (
    AnyOperation,
    PixelError,
    check_grey,
    check_values,
    colour_operations,
    find_max_value,
    names,
)

# Batches whose pixels are compared with the range that colour operations assume.
CHECKED_BATCHES = 20


class ClipPixels:
    """The part of a data preprocessor that knows what its pixels are, see :class:`ImageToClip`."""

    max_value: Any
    channel_order: str | None
    image_to_clip: Any
    mean: Tensor
    std: Tensor
    training: bool
    _enable_normalize: bool
    _colour_steps: list[Any]
    _unchecked = CHECKED_BATCHES

    def _with_pixels(self, module: Any) -> Any:
        """Tell a cell or policy what the pixels are, where its operations need to know."""
        operations = colour_operations(module)
        if operations:
            module.pixels = self._pixels(operations)
        return module

    def _tell_augments(self) -> Pixels | None:
        """Tell the augments that work on colours what the pixels are; the module that stands between."""
        operations = [operation for step in self._colour_steps for operation in step.operations]
        if not operations:
            return None
        pixels = self._pixels(operations)
        for step in self._colour_steps:
            step.use_pixels(pixels)
        return pixels

    def _pixels(self, operations: Sequence[AnyOperation]) -> Pixels:
        """What the pixels are, for operations on colours."""
        normalised = self._enable_normalize
        mean = self.mean.flatten().tolist() if normalised else [0.0]
        std = self.std.flatten().tolist() if normalised else [1.0]
        check_grey(len(mean), operations)
        if self.max_value is None:
            self.max_value = find_max_value(mean, std, operations)
        if len(mean) == 3:
            self._check_order(operations)
        return Pixels(mean, std, self.max_value, self.channel_order or 'rgb')

    def _check_order(self, operations: Sequence[AnyOperation]) -> None:
        grey = [operation for operation in operations if operation.reads_grey]
        if grey and self.channel_order is None:
            raise PixelError(
                f'{names(grey)} must know the order of the colours, but data_preprocessor converts none; set '
                "data_preprocessor.channel_order='rgb' (data sets in memory such as CIFAR) or 'bgr' (files)"
            )

    def _check_channels(self, channels: int) -> None:
        count = self.mean.numel() if self._enable_normalize else 1
        if channels != 1 and count not in (1, channels):  # one channel is repeated, as the parent does
            raise PixelError(
                f'images have {channels} channels, but data_preprocessor.mean has {count}; correct color_type of '
                'LoadImageFromFile, or mean and std'
            )

    def _check_pixels(self, images: Sequence[Tensor] | Tensor) -> None:
        if not self._unchecked:
            return
        operations: list[Any] = [] if self.image_to_clip is None else list(colour_operations(self.image_to_clip))
        if self.training:
            operations += [operation for step in self._colour_steps for operation in step.operations]
        if operations:
            self._unchecked -= 1
            check_grey(images[0].shape[0], operations)
            if images[0].shape[0] == 3:
                self._check_order(operations)
            check_values(images, self.max_value, operations)
