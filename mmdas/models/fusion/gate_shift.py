"""GSM: a shift along time behind a learned gate."""

from torch import Tensor

from mmdas.registry import MODELS

from .base import GatedFusion


@MODELS.register_module()
class GateShift(GatedFusion):
    """Let a gate decide, at every place, how much of a frame's features moves to its neighbour.

    Sudhakaran et al., *Gate-Shift Networks for Video Action Recognition*, CVPR 2020, Sec. 3.2. For the halves x_i of
    the channels with gates g = tanh(conv3D(relu(bn(x))))::

        y_i = g_i * x_i,    r_i = x_i - y_i
        out_1 = (y_1 of frame t+1) + r_1,    out_2 = (y_2 of frame t-1) + r_2

    and the channels of each half of n are interleaved, (2, n/2) -> (n/2, 2). The gates are zero at the start. The
    interleave then still permutes the channels, which disturbs pretrained weights of the plain network; without it
    the module is exactly the identity at the start.

    Args:
        channels: C, width of the features, a multiple of 4.
        num_frames: T >= 1, frames of an image.
        init: ``'identity'`` (default) leaves the interleave out, for good and not only at the start; ``'official'``
            has it. Both have the same tensors, so keep the word with a checkpoint.
        aligned: whether what comes from the neighbouring frames is first brought into this frame's coordinates, see
            ``docs/aligned_fusion.md``. Default: False.

    Raises:
        ValueError: if an argument is out of its range; in ``forward`` if the features do not fit ``channels`` and
            ``num_frames``, or if ``aligned`` frames come without their warps.
    """

    def __init__(self, channels: int, num_frames: int | None, init: str = 'identity', aligned: bool = False) -> None:
        if channels % 4:
            raise ValueError(
                f'channels of GateShift must be a multiple of 4, got {channels}; leave this place out or use '
                'GateShiftFuse, which gates a part of the channels'
            )
        super().__init__(channels, num_frames, gated_channels=channels, init=init, aligned=aligned)
        self.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        """(B*T, C, h, w) -> (B*T, C, h, w)."""
        self.check(x)
        shifted, residual = self.gate_and_shift(x)
        return self.arrange(shifted + residual)
