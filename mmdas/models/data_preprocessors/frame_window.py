"""The frames of a clip that are used: those around the reference frame."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdas.ops.clip import reference_frame


def window(num_frames: int, used: int) -> slice:
    """Places of the frames that are used: the reference frame of the window is that of the clip.

    Args:
        num_frames: T of the clip.
        used: frames of the window, 1 to T.
    """
    start = reference_frame(num_frames) - reference_frame(used)
    return slice(start, start + used)


def check_frames(name: str, frames: Sequence[int], num_frames: int) -> tuple[int, ...]:
    """Numbers of frames that may be used.

    Raises:
        ValueError: for one that is not from 1 to T.
    """
    for used in frames:
        if isinstance(used, bool) or not isinstance(used, int) or not 1 <= used <= num_frames:
            raise ValueError(
                f'data_preprocessor.{name} has {used!r}, expected whole numbers from 1 to num_frames={num_frames}'
            )
    return tuple(frames)


def cut_clip(clip: Tensor, num_frames: int, used: int) -> Tensor:
    """Clip (B, T*C, H, W) -> the window (B, used*C, H, W), a view."""
    if used == num_frames:
        return clip
    channels = clip.shape[1] // num_frames
    places = window(num_frames, used)
    return clip[:, places.start * channels : places.stop * channels]


def fill_frames(maps: Tensor, num_frames: int) -> Tensor:
    """Maps (used, ...) of a window as maps (T, ...) of the clip, zero for the frames outside."""
    if len(maps) == num_frames:
        return maps
    whole = maps.new_zeros(num_frames, *maps.shape[1:])
    return whole.index_copy(0, torch.arange(num_frames, device=maps.device)[window(num_frames, len(maps))], maps)


def draw_frames(choices: Sequence[int]) -> int:
    """One of the numbers, with the random numbers of PyTorch on the CPU."""
    return choices[int(torch.randint(len(choices), ()))]
