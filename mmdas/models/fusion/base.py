"""What all frame fusions share, and what the two gated ones share."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.ops.clip import split_frames
from mmdas.ops.temporal import shift_frames

INITS = ('identity', 'official')


class FrameFusion(nn.Module):
    """Base of the modules that mix features of neighbouring frames inside a 2-D backbone.

    A fusion maps (B*T, C, h, w), all frames of an image adjacent, to the same shape.

    Attributes:
        placement: where ``FrameFusionBackbone`` puts the module in every residual block: ``'before_first_conv'`` or
            ``'after_last_conv'`` (before the norm of that convolution).

    Args:
        channels: C >= 1, the width of the features at the module's place.
        num_frames: T >= 1, frames of an image.

    Raises:
        ValueError: if an argument is out of its range; in ``forward`` if the features have other channels or do not
            divide into clips of T frames.
    """

    placement: ClassVar[str]

    def __init__(self, channels: int, num_frames: int) -> None:
        super().__init__()
        for name, value in (('channels', channels), ('num_frames', num_frames)):
            if value < 1:
                raise ValueError(f'{name} of {type(self).__name__} must be at least 1, got {value}')
        self.channels = channels
        self.num_frames = num_frames

    def init_weights(self) -> None:
        """Set all parameters and buffers to their start state.

        Host backbones initialise every convolution below them and then call ``init_weights`` of their children, so
        this restores exactly what the constructor made.
        """

    def split(self, x: Tensor) -> Tensor:
        """Check the features and view them along time: (B*T, C, h, w) -> (B, T, C, h, w)."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(
                f'{type(self).__name__} has channels={self.channels} and takes features (B*T, {self.channels}, h, w), '
                f'got shape {tuple(x.shape)}; set channels to the width of the features at its place'
            )
        return split_frames(x, self.num_frames)

    def extra_repr(self) -> str:
        return f'channels={self.channels}, num_frames={self.num_frames}'


class GatedFusion(FrameFusion):
    """Base of the fusions that gate what they shift (GSM, Sudhakaran et al., CVPR 2020, Sec. 3.2).

    The names and shapes of ``bn`` and ``conv3D`` are the published ones.

    Args:
        channels: C, width of the features.
        num_frames: T, frames of an image.
        gated_channels: channels that are gated, a multiple of 4 (two halves, each interleaved from two quarters).
        init: ``'identity'`` leaves the interleave of the channels out, ``'official'`` has it.
    """

    placement = 'after_last_conv'

    def __init__(self, channels: int, num_frames: int, gated_channels: int, init: str) -> None:
        super().__init__(channels, num_frames)
        if init not in INITS:
            raise ValueError(f'init of {type(self).__name__} must be one of {INITS}, got {init!r}')
        self.init = init
        self.bn = nn.BatchNorm3d(gated_channels)
        self.conv3D = nn.Conv3d(gated_channels, 2, kernel_size=3, padding=1, groups=2)

    def init_weights(self) -> None:
        self.bn.reset_parameters()
        zero_parameters(self.conv3D)

    def gate_and_shift(self, frames: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Split each half of the channels into what its gate takes, moved in time, and the rest.

        Args:
            frames: (B, T, f, h, w).

        Returns:
            For the half that looks at frame t+1 and the half that looks at frame t-1: shifted gated features and
            residual, each (B, T, f/2, h, w).
        """
        volume = frames.transpose(1, 2)  # (B, f, T, h, w), a view
        gates = self.conv3D(F.relu(self.bn(volume))).tanh().transpose(1, 2)  # (B, T, 2, h, w)
        parts = []
        for half, gate, offset in zip(frames.chunk(2, dim=2), gates.split(1, dim=2), (1, -1), strict=True):
            gated = gate * half
            parts.append((shift_frames(gated, offset), half - gated))
        return parts

    def join(self, halves: list[Tensor]) -> Tensor:
        """Two (B, T, f/2, h, w) -> (B*T, f, h, w), the channels interleaved where ``init`` says so."""
        x = torch.cat(halves, dim=2).flatten(0, 1)
        return interleave_halves(x) if self.init == 'official' else x

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, init={self.init!r}'


def interleave_halves(x: Tensor) -> Tensor:
    """Interleave the two quarters in each half of the channels.

    Within a half of n channels, (2, n/2) becomes (n/2, 2): the order 0, n/2, 1, n/2 + 1, ... (GSM's published code).

    Args:
        x: (N, C, h, w), C a multiple of 4.

    Returns:
        (N, C, h, w).
    """
    quarters = x.unflatten(1, (2, 2, x.shape[1] // 4))
    return quarters.transpose(2, 3).flatten(1, 3)


def zero_parameters(module: nn.Module) -> None:
    """Set all parameters of a module to zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
