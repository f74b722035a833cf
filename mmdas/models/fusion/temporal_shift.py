"""TSM: a shift of some channels along time, without parameters."""

from torch import Tensor

from mmdas.registry import MODELS

from .base import FrameFusion

BORDERS = ('zero', 'replicate')


@MODELS.register_module()
class TemporalShift(FrameFusion):
    """Shift a part of the channels one frame back and a part one frame forth.

    Lin et al., *TSM: Temporal Shift Module for Efficient Video Understanding*, ICCV 2019, Sec. 3. With n =
    int(channels * fraction), the first n channels of frame t are those of frame t+1, the next n those of frame t-1,
    the rest stay. The border is zero, as published: of a clip with one frame the shifted channels are all zero. With
    ``border='replicate'`` the frames at both ends keep their own channels: of one frame nothing moves.

    Args:
        channels: C >= 1, width of the features.
        num_frames: T >= 1, frames of an image.
        fraction: share of the channels shifted in each direction, in [0, 0.5]. 0 leaves the features as they are.
            Default: 0.125.
        border: ``'zero'`` (default) or ``'replicate'``.
        aligned: whether what comes from the neighbouring frames is first brought into this frame's coordinates, see
            ``docs/aligned_fusion.md``. Default: False.

    Raises:
        ValueError: if an argument is out of its range; in ``forward`` if the features do not fit ``channels`` and
            ``num_frames``, or if ``aligned`` frames come without their warps.
    """

    placement = 'before_first_conv'
    spatial = False

    def __init__(
        self,
        channels: int,
        num_frames: int | None,
        fraction: float = 0.125,
        border: str = 'zero',
        aligned: bool = False,
    ) -> None:
        super().__init__(channels, num_frames, aligned)
        if not 0 <= fraction <= 0.5:
            raise ValueError(f'fraction of TemporalShift must be in [0, 0.5], got {fraction}')
        if border not in BORDERS:
            raise ValueError(f'border of TemporalShift must be one of {BORDERS}, got {border!r}')
        self.fraction, self.border = fraction, border
        self.spatial = aligned  # then tokens have to come as the map that they are
        self.shifted_channels = int(channels * fraction)

    def forward(self, x: Tensor) -> Tensor:
        """(B*T, C, h, w) -> (B*T, C, h, w)."""
        self.check(x)
        if not self.shifted_channels:
            return x
        return self.shift(x, self.shifted_channels, self.border == 'replicate')

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, fraction={self.fraction}, border={self.border!r}'
