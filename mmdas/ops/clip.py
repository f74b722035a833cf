"""The layouts of a clip and the conversions between them; no other module converts layouts.

===========  =================  ====================================================
name         shape              where
===========  =================  ====================================================
clip         (B, T*C, H, W)     outside the backbone; channels [t*C, (t+1)*C) are frame t
frames       (B*T, C, H, W)     inside the backbone and the head; an image's frames are adjacent
time-major   (T, B, C, H, W)    inside the cell, where all images share the transformation of a frame
table        (T*H*W, B*C)       of warps as sparse operators, where a pixel is a row
===========  =================  ====================================================
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def reference_frame(num_frames: int) -> int:
    """Index T//2 of the frame that stays the untouched image."""
    if num_frames < 1:
        raise ValueError(f'num_frames must be at least 1, got {num_frames}')
    return num_frames // 2


def frame_offsets(num_frames: int) -> Tensor:
    """Signed distances d(t) = t - T//2 of all frames from the reference frame, shape (T,), float32."""
    reference = reference_frame(num_frames)
    return torch.arange(num_frames, dtype=torch.float32) - reference


def repeat_image(images: Tensor, num_frames: int) -> Tensor:
    """Clip of T equal frames: (B, C, H, W) -> (B, T*C, H, W). One frame returns ``images`` themselves."""
    if num_frames < 1:
        raise ValueError(f'num_frames must be at least 1, got {num_frames}')
    return images if num_frames == 1 else images.repeat(1, num_frames, 1, 1)


def clip_to_frames(clip: Tensor, num_frames: int) -> Tensor:
    """(B, T*C, H, W) -> (B*T, C, H, W).

    Raises:
        ValueError: if ``num_frames`` is below 1 or the channels do not divide into so many frames.
    """
    batch, channels = clip.shape[:2]
    if num_frames < 1 or channels % num_frames:
        raise ValueError(
            f'a clip of {channels} channels does not divide into num_frames={num_frames} frames; set num_frames of '
            'data_preprocessor, backbone and heads from one variable'
        )
    return clip.reshape(batch * num_frames, channels // num_frames, *clip.shape[2:])


def frames_to_clip(frames: Tensor, num_frames: int) -> Tensor:
    """(B*T, C, H, W) -> (B, T*C, H, W), the inverse of :func:`clip_to_frames`."""
    batch = _batch_size(frames, num_frames)
    return frames.reshape(batch, num_frames * frames.shape[1], *frames.shape[2:])


def split_frames(frames: Tensor, num_frames: int) -> Tensor:
    """(B*T, ...) -> (B, T, ...), the view in which modules look along time."""
    return frames.reshape(_batch_size(frames, num_frames), num_frames, *frames.shape[1:])


def time_major_to_clip(frames: Tensor) -> Tensor:
    """(T, B, C, H, W) -> (B, T*C, H, W)."""
    return frames.transpose(0, 1).flatten(1, 2)


def clip_around(reference: Tensor, others: Tensor) -> Tensor:
    """Clip of a reference frame (B, C, H, W) and all others (T-1, B, C, H, W), in one copy: (B, T*C, H, W)."""
    frames = others.transpose(0, 1)
    middle = reference_frame(len(others) + 1)
    return torch.cat([frames[:, :middle], reference.unsqueeze(1), frames[:, middle:]], dim=1).flatten(1, 2)


def other_frames(frames: Tensor) -> Tensor:
    """(T, ...) -> (T-1, ...), without the reference frame."""
    middle = reference_frame(len(frames))
    return torch.cat([frames[:middle], frames[middle + 1 :]])


def image_to_table(images: Tensor) -> Tensor:
    """(B, C, H, W) -> (H*W, B*C), often a view with the strides of the images."""
    return images.permute(2, 3, 0, 1).flatten(2).flatten(0, 1)


def table_to_time_major(table: Tensor, shape: Sequence[int]) -> Tensor:
    """(T*H*W, B*C) -> (T, B, C, H, W), a view, for images of the shape (B, C, H, W)."""
    batch, channels, height, width = shape
    return table.view(-1, height, width, batch, channels).permute(0, 3, 4, 1, 2)


def _batch_size(frames: Tensor, num_frames: int) -> int:
    if num_frames < 1 or frames.shape[0] % num_frames:
        raise ValueError(
            f'{frames.shape[0]} frames do not divide into clips of num_frames={num_frames}; set num_frames of '
            'data_preprocessor, backbone and heads from one variable'
        )
    return frames.shape[0] // num_frames
