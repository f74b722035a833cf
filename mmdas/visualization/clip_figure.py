"""Clips as pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mmdas.ops.clip import clip_to_frames, frame_offsets, reference_frame, split_frames

from .image_grid import new_image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARK = 'tab:red'


def clip_to_images(
    clip: Tensor, num_frames: int, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)
) -> np.ndarray:
    """Frames of clips as images.

    Args:
        clip: (B, T*C, H, W) with C = 1 or 3, normalised; with 3 channels in the order red, green, blue.
        num_frames: T.
        mean, std: normalisation that is undone, one number or one per channel, in pixel values 0..255. Default: the
            clip holds pixel values.

    Returns:
        (B, T, H, W, 3), uint8; values outside 0..255 are clipped, one channel becomes grey.

    Raises:
        ValueError: for another number of channels, or a normalisation of another length.
    """
    frames = clip_to_frames(clip.detach().float().cpu(), num_frames)  # (B*T, C, H, W)
    channels = frames.shape[1]
    if channels not in (1, 3):
        raise ValueError(
            f'a frame has 1 or 3 channels to be shown, got {channels} ({clip.shape[1]} in {num_frames} frames)'
        )
    for name, values in (('mean', mean), ('std', std)):
        if len(values) not in (1, channels):
            raise ValueError(f'{name} has {len(values)} values for frames of {channels} channels; give 1 or {channels}')
    scale, shift = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (std, mean))
    pixels = (frames * scale + shift).round().clamp(0, 255).to(torch.uint8)
    pixels = pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)  # (B*T, H, W, 3)
    return split_frames(pixels, num_frames).numpy()


def draw_clips(clips: np.ndarray, titles: Sequence[str] | None = None) -> 'Figure':
    """Draw clips, one a row, with a frame around the reference frame.

    Args:
        clips: (B, T, H, W, 3), uint8, as of :func:`clip_to_images`.
        titles: names of the images, B of them, written at the left.

    Raises:
        ValueError: if there is not one title for each clip.
    """
    num_clips, num_frames, height, width = clips.shape[:4]
    titles = [''] * num_clips if titles is None else titles
    if len(titles) != num_clips:
        raise ValueError(f'{len(titles)} titles for {num_clips} clips; give one for each')
    names = [_frame_name(offset) for offset in frame_offsets(num_frames).int().tolist()]
    figure, grid = new_image_grid(titles, names, height / width)
    for row, clip in zip(grid, clips, strict=True):
        for axes, frame in zip(row, clip, strict=True):
            axes.imshow(frame, interpolation='nearest')
        row[reference_frame(num_frames)].spines[:].set(visible=True, color=MARK, linewidth=3)
    return figure


def _frame_name(offset: int) -> str:
    return f'{offset:+d}' if offset else 'reference'
