"""Shifts along the time of a clip; torch only."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .clip import split_frames
from .recording import is_recorded


def shift_channels(x: Tensor, num_frames: int, n: int, replicate: bool = False) -> Tensor:
    """Let the first n channels of every frame be those of the next frame and the second n those of the previous one.

    Where there is no such frame they are zero, or stay; all other channels stay. This is the shift of TSM (Lin et al.,
    *TSM: Temporal Shift Module for Efficient Video Understanding*, ICCV 2019, Sec. 3).

    In eager mode it costs one copy of ``x``, its gradient one copy of the gradient, and nothing is saved for the
    backward pass. A tracer or compiler sees plain tensor operations.

    Args:
        x: (B*T, C, ...), all frames of an image adjacent, any dtype and strides; not changed.
        num_frames: T >= 1, frames of an image.
        n: channels that move in each direction, 0 <= n <= C/2.
        replicate: whether the frames at both ends keep what no other frame gives them, so that of one frame nothing
            moves. Default: False, it becomes zero.

    Returns:
        (B*T, C, ...), in the memory format of ``x``. Differentiable any number of times and in both modes, also under
        ``torch.func`` with ``vmap``.

    Raises:
        ValueError: if n is out of its range or the frames do not divide into clips of T frames.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return _concatenate(x, num_frames, n, replicate)
    if not 0 <= 2 * n <= x.shape[1]:
        raise ValueError(f'n must be from 0 to half of the {x.shape[1]} channels, got {n}')
    if replicate:
        return _concatenate(x, num_frames, n, replicate)
    if torch.is_grad_enabled() or is_recorded():
        return _ShiftChannels.apply(x, num_frames, n, 1)
    return _shift_into_buffer(x, num_frames, n, 1)  # a fifth of the time for small features


def sum_over_time(given: Tensor, num_frames: int) -> Tensor:
    """What the next, the previous and the same frame give to a frame; there is none beyond the ends.

    Args:
        given: (B*T, 3*C, h, w): what a frame gives to the previous one, to the next one, and to itself.
        num_frames: T >= 1.

    Returns:
        (B*T, C, h, w). Differentiable any number of times.
    """
    from_next, from_previous, own = given.chunk(3, dim=1)
    later, earlier = _next(split_frames(from_next, num_frames)), _previous(split_frames(from_previous, num_frames))
    return (later + earlier).flatten(0, 1) + own


def split_channels(x: Tensor, num_frames: int, n: int) -> tuple[Tensor, ...]:
    """Channels that come from the next frame, those from the previous one, and those that stay, if there are any.

    A part without channels is left out, which not all runtimes of exported graphs can split off.

    Args:
        x: (B*T, C, ...), all frames of an image adjacent.
        num_frames: T >= 1.
        n: channels that move in each direction, 0 <= n <= C/2; of 0 the first two parts are empty all the same.

    Returns:
        Two or three parts (B, T, ...).
    """
    rest = x.shape[1] - 2 * n
    return split_frames(x, num_frames).split([n, n, rest] if rest else [n, n], dim=2)


def _next(clips: Tensor, replicate: bool = False) -> Tensor:
    """What the next frame has, in place of each frame (B, T, ...); at the end zero, or what is there."""
    if replicate:
        return torch.cat([clips[:, 1:], clips[:, -1:]], dim=1)
    # One pad of -1 and 1 is the same, but there are runtimes of exported graphs that take no negative pads.
    return F.pad(clips[:, 1:], _around(clips, 0, 1))


def _previous(clips: Tensor, replicate: bool = False) -> Tensor:
    """What the previous frame has, in place of each frame (B, T, ...); at the beginning zero, or what is there."""
    if replicate:
        return torch.cat([clips[:, :1], clips[:, :-1]], dim=1)
    return F.pad(clips[:, :-1], _around(clips, 1, 0))


def _around(clips: Tensor, before: int, after: int) -> tuple[int, ...]:
    """Pads of frames."""
    return (0, 0) * (clips.ndim - 2) + (before, after)


def _shift_into_buffer(x: Tensor, num_frames: int, n: int, step: int) -> Tensor:
    """Slice copies into one buffer; ``step`` 1 or -1 says which part comes from the next frame."""
    out = torch.empty_like(x)
    source, target = split_frames(x, num_frames), split_frames(out, num_frames)
    from_next, from_previous = (slice(n), slice(n, 2 * n))[::step]
    target[:, :-1, from_next] = source[:, 1:, from_next]
    target[:, -1, from_next] = 0
    target[:, 1:, from_previous] = source[:, :-1, from_previous]
    target[:, 0, from_previous] = 0
    if 2 * n < x.shape[1]:
        target[:, :, 2 * n :] = source[:, :, 2 * n :]
    return out


class _ShiftChannels(torch.autograd.Function):
    """Shift by slice copies into one buffer; the gradient is shifted the other way (``step`` 1 or -1)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, num_frames: int, n: int, step: int) -> Tensor:
        return _shift_into_buffer(x, num_frames, n, step)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        _, ctx.num_frames, ctx.n, ctx.step = inputs

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _ShiftChannels.apply(grad, ctx.num_frames, ctx.n, -ctx.step), None, None, None

    @staticmethod
    def jvp(ctx, tangent: Tensor, *_: None) -> Tensor:
        return _ShiftChannels.apply(tangent, ctx.num_frames, ctx.n, ctx.step)


def _concatenate(x: Tensor, num_frames: int, n: int, replicate: bool) -> Tensor:
    from_next, from_previous, *rest = split_channels(x, num_frames, n)
    if n == 0:  # a part without channels cannot be padded in torch 2.6.0 to 2.9.1
        return x.clone()
    return torch.cat([_next(from_next, replicate), _previous(from_previous, replicate), *rest], dim=2).flatten(0, 1)
