"""What all frame fusions share, and what the two gated ones share."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.ops.aligned_shift import FrameAlignment
from mmdas.ops.clip import split_frames
from mmdas.ops.recording import is_recorded
from mmdas.ops.temporal import shift_channels, sum_over_time

INITS = ('identity', 'official')
# Gated channels from which products replace the convolution of the gates (benchmarks B3, G5 and G7).
_WIDE = 32


class FrameFusion(nn.Module):
    """Base of the modules that mix features of neighbouring frames inside a 2-D backbone.

    A fusion maps (B*T, C, h, w), all frames of an image adjacent, to the same shape.

    Attributes:
        placement: where ``FrameFusionBackbone`` puts the module in every residual block: ``'before_first_conv'`` or
            ``'after_last_conv'`` (before the norm of that convolution). In a transformer it is before the attention.
        spatial: whether the module looks at neighbours in space. The tokens of a transformer then come as the map that
            they are, without those of no place; else all of them come, in one column. Default: True.

        alignment: how the frames of the batch lie to each other. The models of DAS set it where ``aligned`` is.

    Args:
        channels: C >= 1, the width of the features at the module's place.
        num_frames: T >= 1, frames of an image; None where a backbone sets it later.
        aligned: whether features of neighbouring frames are brought into a frame's own coordinates before they are
            fused with it. Default: False.

    Raises:
        ValueError: if an argument is out of its range; in ``forward`` if the features have other channels or do not
            divide into clips of T frames, or if ``aligned`` frames come without their warps.
    """

    placement: ClassVar[str]
    spatial: bool = True
    num_frames: Any  # an integer, or None until the backbone tells it
    aligned: bool = False
    alignment: FrameAlignment | None = None

    def __init__(self, channels: int, num_frames: int | None, aligned: bool = False) -> None:
        super().__init__()
        for name, value in (('channels', channels), ('num_frames', num_frames)):
            if value is not None and value < 1:
                raise ValueError(f'{name} of {type(self).__name__} must be at least 1, got {value}')
        self.channels = channels
        self.num_frames = num_frames
        self.aligned = aligned

    def init_weights(self) -> None:
        """Set all parameters and buffers to their start state, which is what the constructor made."""

    def check(self, x: Tensor) -> None:
        """Raise ValueError where the features are not (B*T, C, h, w)."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(
                f'{type(self).__name__} has channels={self.channels} and takes features (B*T, {self.channels}, h, w), '
                f'got shape {tuple(x.shape)}; set channels to the width of the features at its place'
            )
        split_frames(x, self.num_frames)

    def shift(self, x: Tensor, n: int, replicate: bool = False) -> Tensor:
        """Move the first n channels one frame back and the next n one frame forth, aligned where that is asked for.

        See :func:`mmdas.ops.temporal.shift_channels` and :class:`mmdas.ops.aligned_shift.FrameAlignment`.
        """
        if not self.aligned or self.num_frames == 1:
            return shift_channels(x, self.num_frames, n, replicate)
        if self.alignment is None or self.alignment.num_frames != self.num_frames:
            raise ValueError(
                f'aligned=True of {type(self).__name__} needs the warps of the frames; set model.type to '
                "'mmdas.DASImageClassifier' or 'mmdas.DASEncoderDecoder', which hand them over"
            )
        return self.alignment.shift(x, n, replicate)

    def extra_repr(self) -> str:
        aligned = ', aligned=True' if self.aligned else ''
        return f'channels={self.channels}, num_frames={self.num_frames}{aligned}'


class GatedFusion(FrameFusion):
    """Base of the fusions that gate what they shift (GSM, Sudhakaran et al., CVPR 2020, Sec. 3.2).

    The names and shapes of ``bn`` and ``conv3D`` are the published ones, but no (B, C, T, h, w) tensor is made: the
    norm has the same statistics over (B*T, C, h, w), and the 3-D convolution is one 2-D convolution, whose kernels are
    its three slices in time, and a shift of what they give.

    Args:
        channels: C, width of the features.
        num_frames: T, frames of an image.
        gated_channels: channels that are gated, a multiple of 4 (two halves, each interleaved from two quarters).
        init: ``'identity'`` leaves the interleave of the channels out, ``'official'`` has it.
        aligned: see :class:`FrameFusion`; what the gates see of other frames is aligned, too. Default: False.
    """

    placement = 'after_last_conv'

    def __init__(
        self, channels: int, num_frames: int | None, gated_channels: int, init: str, aligned: bool = False
    ) -> None:
        super().__init__(channels, num_frames, aligned)
        if init not in INITS:
            raise ValueError(f'init of {type(self).__name__} must be one of {INITS}, got {init!r}')
        self.init = init
        self.gated_channels = gated_channels
        self.bn = nn.BatchNorm3d(gated_channels)
        self.conv3D = nn.Conv3d(gated_channels, 2, kernel_size=3, padding=1, groups=2)

    def init_weights(self) -> None:
        self.bn.reset_parameters()
        zero_parameters(self.conv3D)

    def gate_and_shift(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split the features into what the gates take, moved in time, and the rest.

        Args:
            x: (B*T, f, h, w).

        Returns:
            Shifted gated features, of frame t+1 in the first half of the channels and of frame t-1 in the second, and
            residual, both (B*T, f, h, w).
        """
        halves = x.unflatten(1, (2, -1)) * self.gates(x).unsqueeze(2)  # (B*T, 2, f/2, h, w)
        gated = halves.flatten(1, 2)
        return self.shift(gated, x.shape[1] // 2), x - gated

    def gates(self, x: Tensor) -> Tensor:
        """The gates of features, tanh(conv3D(relu(bn(x)))) over the clips.

        Args:
            x: (B*T, f, h, w), the channels that are gated, the first f of those that the module takes.

        Returns:
            (B*T, 2, h, w), in [-1, 1]: of the first half of these channels, which goes one frame back, and of the
            second half, which goes one frame forth.
        """
        # The norm may be a BatchNorm3d or a SyncBatchNorm: both take a volume of depth 1, which is a view.
        normed = F.relu(self.bn(x.unsqueeze(2)).squeeze(2))
        bias = F.pad(self.conv3D.get_parameter('bias'), (4, 0))
        if _takes_products(normed):
            taps = self._taps_by_products(normed) + bias[:, None, None]
        else:
            taps = F.conv2d(normed, self._kernels(), bias, padding=1)  # (B*T, 6, h, w)
        if self.aligned:
            from_next, from_previous, own = self.shift(taps, 2).chunk(3, dim=1)
            return (from_next + from_previous + own).tanh()
        return sum_over_time(taps, self.num_frames).tanh()

    def _taps_by_products(self, normed: Tensor) -> Tensor:
        """The convolution with ``_kernels``, (B*T, 6, h, w), as a product for each gate and a sum of its parts.

        CPU libraries pad six outputs to sixteen, and half of the dense kernels is zero.
        """
        weight = self.conv3D.weight.flip(3, 4).roll(1, 2)  # a fold adds where a convolution reads
        halves = normed.unflatten(1, (2, -1)).flatten(3)  # (B*T, 2, f/2, h*w)
        parts = weight.permute(0, 2, 3, 4, 1).flatten(1, 3) @ halves  # (B*T, 2, 27, h*w)
        return F.fold(parts.unflatten(2, (3, 9)).transpose(1, 2).flatten(1, 3), normed.shape[2:], 3, padding=1)

    def _kernels(self) -> Tensor:
        """The slices in time of ``conv3D`` that see frame t+1, t-1 and t, two gates each: (6, f, 3, 3).

        The channels of the other gate have zeros: CPU libraries compute a convolution with two groups of so few
        outputs 3 x slower than the dense one.
        """
        first, second = self.conv3D.weight.permute(2, 0, 1, 3, 4).unbind(1)  # (3, f/2, 3, 3)
        n = first.shape[1]
        dense = [F.pad(first, (0, 0, 0, 0, 0, n)), F.pad(second, (0, 0, 0, 0, n, 0))]
        return torch.stack(dense, dim=1).roll(1, 0).flatten(0, 1)

    def arrange(self, x: Tensor) -> Tensor:
        """(B*T, f, h, w), the channels interleaved where ``init`` says so."""
        return interleave_halves(x) if self.init == 'official' else x

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, init={self.init!r}'


def _takes_products(x: Tensor) -> bool:
    """Whether products are faster than the convolution: for many channels on the CPU, in the usual layout."""
    usual = x.device.type == 'cpu' and x.dtype in (torch.float32, torch.float64) and x.is_contiguous()
    return x.shape[1] >= _WIDE and usual and not (torch.is_autocast_enabled('cpu') or is_recorded())


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
