"""A student's images as its teacher wants them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.ops.clip import clip_to_frames, reference_frame, split_frames
from mmdas.search.das.operation import Size

from .error import DistillationError


def images_of(inputs: Tensor, preprocessor: nn.Module) -> Tensor:
    """The images in what a model takes: its inputs, or the reference frame of clips, which is the image.

    Args:
        inputs: (B, C, H, W), or clips (B, T*C, H, W).
        preprocessor: that has made them.

    Returns:
        (B, C, H, W).
    """
    if not isinstance(preprocessor, ImageToClip) or preprocessor.gives_images:
        return inputs
    frames = preprocessor.frames_now
    return split_frames(clip_to_frames(inputs, frames), frames)[:, reference_frame(frames)]


class PixelChange:
    """From the normalisation of one data preprocessor to that of another.

    Args:
        student: that has normalised the images.
        teacher: whose normalisation is wanted.
        swap: whether the colours are in the other order for the teacher. Default: not, and both must convert alike.

    Raises:
        DistillationError: if one of them converts the order of the colours, the other does not, and ``swap`` is not
            given.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, swap: bool | None = None) -> None:
        converted = [converts_colours(preprocessor) for preprocessor in (student, teacher)]
        if swap is None and converted[0] != converted[1]:
            raise DistillationError(
                f'data_preprocessor converts the order of the colours: {converted[0]} for the student, {converted[1]} '
                'for the teacher; set to_rgb (bgr_to_rgb) of both alike, or say by swap_colours=True or False of '
                'mmdas.DistillHook whether the network of the teacher takes the other order than that of the student'
            )
        (mean, std), (other_mean, other_std) = map(normalisation, (student, teacher))
        self.swap = bool(swap)
        if self.swap:  # of the student, in the teacher's order
            mean, std = mean.flip(0), std.flip(0)
        self.scale, self.shift = std / other_std, (mean - other_mean) / other_std
        self.is_equal = not self.swap and bool((self.scale == 1).all() and (self.shift == 0).all())

    def __call__(self, images: Tensor, sizes: Sequence[Size] | None = None) -> Tensor:
        """Images (B, C, H, W) as the teacher takes them.

        Args:
            images: of the student.
            sizes: (H, W) of their contents in the upper left corner; what pads them stays. Default: all is content.
        """
        if self.is_equal:
            return images
        source = images.flip(1) if self.swap else images
        changed = source * self.scale.to(images) + self.shift.to(images)
        if sizes is None:
            return changed
        result = images.clone()
        for place, (height, width) in enumerate(sizes):
            result[place, :, :height, :width] = changed[place, :, :height, :width]
        return result


def converts_colours(preprocessor: nn.Module) -> bool:
    """Whether a data preprocessor of a toolbox changes BGR to RGB or back."""
    return bool(getattr(preprocessor, 'to_rgb', False) or getattr(preprocessor, '_channel_conversion', False))


def normalisation(preprocessor: Any) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C or 1, 1, 1) of a data preprocessor, 0 and 1 where it does not normalise."""
    if not getattr(preprocessor, '_enable_normalize', False):
        return torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    return preprocessor.mean.detach().cpu().double(), preprocessor.std.detach().cpu().double()


def mirrored(images: Tensor, sizes: Sequence[Size] | None = None) -> Tensor:
    """Images or maps (B, C, H, W) mirrored left to right, each within its content (H, W) of the upper left corner."""
    if sizes is None:
        return images.flip(-1)
    result = images.clone()
    for place, (height, width) in enumerate(sizes):
        result[place, :, :height, :width] = images[place, :, :height, :width].flip(-1)
    return result
