"""GSF: a gated shift along time whose result is fused by learned channel weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.ops.clip import split_frames
from mmdas.registry import MODELS

from .base import GatedFusion, zero_parameters


@MODELS.register_module()
class GateShiftFuse(GatedFusion):
    """Gate and shift a part of the channels, and weigh what was moved against what stayed.

    Sudhakaran et al., *Gate-Shift-Fuse for Video Action Recognition*, TPAMI 2023, Sec. 3. As :class:`GateShift` on the
    first f channels, the rest pass unchanged, but with channel weights in place of the sum::

        out_i = a_i * shifted_i + (1 - a_i) * r_i,    a_i = sigmoid(channel_conv_i([mean(shifted_i), mean(r_i)]))

    The means are over space; the convolution runs over the (channel, time) plane of one image. The module has
    29 f + 40 parameters. At the start the gates and fusion logits are zero, so a_i = 1/2: the published module then
    halves and permutes its f channels, which disturbs pretrained weights of the plain network.

    Args:
        channels: C >= 4, width of the features.
        num_frames: T >= 1, frames of an image.
        ratio: share of the channels that are fused, in (0, 1]; f is ratio * C rounded to the nearest multiple of 4
            (half way: up), at least 4 and at most C. Default: 0.25.
        init: ``'identity'`` (default) leaves the interleave out and doubles the fused sum, for good and not only at
            the start, so that the module starts as exactly the identity; ``'official'`` is as published. Both have
            the same tensors, so keep the word with a checkpoint.
        aligned: whether what comes from the neighbouring frames is first brought into this frame's coordinates, see
            ``docs/aligned_fusion.md``. Default: False.

    Raises:
        ValueError: if an argument is out of its range; in ``forward`` if the features do not fit ``channels`` and
            ``num_frames``, or if ``aligned`` frames come without their warps.
    """

    def __init__(
        self,
        channels: int,
        num_frames: int | None,
        ratio: float = 0.25,
        init: str = 'identity',
        aligned: bool = False,
    ) -> None:
        if channels < 4:
            raise ValueError(f'channels of GateShiftFuse must be at least 4, got {channels}; leave this place out')
        if not 0 < ratio <= 1:
            raise ValueError(f'ratio of GateShiftFuse must be in (0, 1], got {ratio}')
        fused_channels = nearest_multiple_of_4(ratio * channels, highest=channels)
        super().__init__(channels, num_frames, gated_channels=fused_channels, init=init, aligned=aligned)
        self.ratio = ratio
        self.fused_channels = fused_channels
        self.channel_conv1 = nn.Conv2d(2, 1, kernel_size=3, padding=1)
        self.channel_conv2 = nn.Conv2d(2, 1, kernel_size=3, padding=1)
        self.init_weights()

    def init_weights(self) -> None:
        super().init_weights()
        zero_parameters(self.channel_conv1)
        zero_parameters(self.channel_conv2)

    def forward(self, x: Tensor) -> Tensor:
        """(B*T, C, h, w) -> (B*T, C, h, w)."""
        self.check(x)
        if self.fused_channels == self.channels:
            return self._fuse(x)
        part, rest = x.split([self.fused_channels, self.channels - self.fused_channels], dim=1)
        # The norm and the convolution are slow on a slice that is not dense.
        return torch.cat([self._fuse(part.clone()), rest], dim=1)

    def _fuse(self, x: Tensor) -> Tensor:
        shifted, residual = self.gate_and_shift(x)
        weight = self._channel_weights(shifted, residual)[..., None, None]
        # Doubling the small weights instead of the features costs nothing and 2 * 0.5 = 1 is exact in every precision.
        scale = 2 if self.init == 'identity' else 1
        return self.arrange(torch.addcmul((scale * (1 - weight)) * residual, scale * weight, shifted))

    def _channel_weights(self, shifted: Tensor, residual: Tensor) -> Tensor:
        """The weights a_i of both halves of the channels, (B*T, f); one grouped convolution is both channel_convs."""
        means = torch.stack([spatial_mean(shifted), spatial_mean(residual)], dim=1).unflatten(2, (2, -1))
        planes = split_frames(means, self.num_frames).permute(0, 3, 2, 4, 1)  # (B, half, part, f/2, T)
        convs = (self.channel_conv1, self.channel_conv2)
        weight, bias = (torch.cat([getattr(conv, name) for conv in convs]) for name in ('weight', 'bias'))
        logits = F.conv2d(planes.flatten(1, 2), weight, bias, padding=1, groups=2)  # (B, half, f/2, T)
        return logits.sigmoid().permute(0, 3, 1, 2).flatten(2).flatten(0, 1)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, ratio={self.ratio}, fused_channels={self.fused_channels}'


def nearest_multiple_of_4(value: float, highest: int) -> int:
    """Round to a multiple of 4 in [4, highest], half way up."""
    return max(4, min(int(value / 4 + 0.5), highest // 4) * 4)


def spatial_mean(x: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, C).

    A sum, because the gradient of ``mean`` writes a tensor of the size of ``x`` in another memory format; in float32
    or better, because a sum in half precision may overflow.
    """
    total = x.sum((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
    return (total / (x.shape[2] * x.shape[3])).to(x.dtype)
