"""Shifts along the time of a clip; torch only."""

import torch
from torch import Tensor


def shift_frames(frames: Tensor, offset: int) -> Tensor:
    """Let every frame take the content of the frame ``offset`` steps later; zero where there is none.

    ``output[:, t] = frames[:, t + offset]`` for 0 <= t + offset < T, else 0: offset 1 brings frame t+1 to frame t
    (the content moves to earlier frames), offset -1 brings frame t-1. This is the shift of TSM (Lin et al., *TSM:
    Temporal Shift Module for Efficient Video Understanding*, ICCV 2019, Sec. 3).

    Args:
        frames: (B, T, ...), any dtype and strides; not changed.
        offset: steps, any integer; 0 returns ``frames`` themselves, \\|offset\\| >= T returns zeros.

    Returns:
        (B, T, ...), differentiable.
    """
    if offset == 0:
        return frames
    num_frames = frames.shape[1]
    steps = min(abs(offset), num_frames)
    gap = torch.zeros_like(frames[:, :steps])
    if offset > 0:
        return torch.cat([frames[:, steps:], gap], dim=1)
    return torch.cat([gap, frames[:, : num_frames - steps]], dim=1)
