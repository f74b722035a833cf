"""Shifts along the time of a clip between frames that were warped differently."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .affine import compose, content_mask, inverse, sampling_grid, within_canvas
from .recording import is_recorded
from .temporal import shift_channels, split_channels

NO_WARP = 1e-9  # largest deviation of a matrix from the identity that counts as none


class NeighbourWarps:
    """Brings features of the next and the previous frame into the coordinates of a frame.

    Frame t of a clip is the image under the warp M_t. Where frame t shows a point of the image at p, frame s shows it
    at M_s^-1 M_t p. Sampled there, the features of frame s lie on those of frame t: the warp of s is undone and that of
    t done, in one sampling. The features of an equivariant network are then those that it has for frame t.

    Args:
        theta: (T, 2, 3), matrices M_t of ``warp_affine`` by which the images were warped, in double precision.
        size: (H, W) of the images.
        canvas: (H, W) of the padded images, which the maps cover. Default: no padding.

    Attributes:
        theta: (2, T-1, 2, 3): into frame t from t+1, and into frame t+1 from t; None where all frames lie alike.
    """

    def __init__(self, theta: Tensor, size: Sequence[int], canvas: Sequence[int] | None = None) -> None:
        self.size, self.canvas = tuple(size), tuple(size if canvas is None else canvas)
        whole = within_canvas(theta, self.size, self.canvas)
        earlier, later = whole[:-1], whole[1:]
        both = torch.stack([compose(inverse(later), earlier), compose(inverse(earlier), later)])
        self.theta: Tensor | None = both if is_recorded() or _is_warp(both) else None  # a record knows no values
        self._grids: dict[tuple, Tensor] = {}

    def bring(self, features: Tensor) -> Tensor:
        """Sample the features of neighbours bilinearly.

        Args:
            features: (2, T-1, B, n, h, w), of the frames t+1 and of the frames t, for t from 0 to T-2.

        Returns:
            The same shape and dtype, in the coordinates of t and of t+1; what lies outside a frame is zero.
        """
        if self.theta is None:
            return features
        precision = torch.promote_types(features.dtype, torch.float32)
        grid = self._grid(features.shape[-2:], precision, features.device)
        maps = features.to(precision).flatten(0, 1).flatten(1, 2)  # all images and channels move alike
        if self.size != self.canvas:
            maps = maps * content_mask(maps, self.size, self.canvas)
        moved = F.grid_sample(maps, grid, mode='bilinear', padding_mode='zeros', align_corners=False)
        return moved.view(features.shape).to(features.dtype)

    def _grid(self, size: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Places to sample at, (2*(T-1), h, w, 2), made once for the maps of one stage."""
        assert self.theta is not None
        if is_recorded():
            return sampling_grid(self.theta.flatten(0, 1).to(device, dtype), size)
        key = (*size, dtype, device)
        if key not in self._grids:
            self._grids[key] = sampling_grid(self.theta.flatten(0, 1), size).to(device, dtype)
        return self._grids[key]


def _is_warp(theta: Tensor) -> bool:
    away = (theta - torch.eye(2, 3, dtype=theta.dtype, device=theta.device)).abs()
    return bool((away > NO_WARP).any())


@dataclass(frozen=True)
class FrameAlignment:
    """How the frames of a batch of clips lie to each other, for features of any resolution.

    Args:
        num_frames: T >= 1.
        groups: places of images in the batch, and the warps of their frames; None for all images. Default: all frames
            lie alike.
    """

    num_frames: int
    groups: tuple[tuple[tuple[int, ...] | None, NeighbourWarps], ...] = ()

    def shift(self, x: Tensor, n: int, replicate: bool = False) -> Tensor:
        """As ``shift_channels``, but what moves is brought into the coordinates of the frame that it moves to.

        Only the 2n channels that move are sampled. Where all frames lie alike it is ``shift_channels``, bit for bit.

        Args:
            x: (B*T, C, h, w), all frames of an image adjacent; not changed.
            n: channels that move in each direction, 0 <= n <= C/2.
            replicate: whether the frames at both ends keep what no other frame gives them. Default: False, zero.

        Returns:
            (B*T, C, h, w), in the memory format of ``x``. Differentiable.

        Raises:
            ValueError: if the frames do not divide into clips of T frames.
        """
        if not n or all(warps.theta is None for _, warps in self.groups):
            return shift_channels(x, self.num_frames, n, replicate)
        from_next, from_previous, *rest = split_channels(x, self.num_frames, n)
        pairs = torch.stack([from_next[:, 1:], from_previous[:, :-1]]).transpose(1, 2)  # (2, T-1, B, n, h, w)
        to_earlier, to_later = self._bring(pairs).transpose(1, 2).unbind()
        last, first = from_next[:, -1:], from_previous[:, :1]
        if not replicate:
            last, first = torch.zeros_like(last), torch.zeros_like(first)
        parts = [torch.cat([to_earlier, last], dim=1), torch.cat([first, to_later], dim=1), *rest]
        return torch.cat(parts, dim=2).flatten(0, 1).contiguous(memory_format=_memory_format(x))

    def _bring(self, pairs: Tensor) -> Tensor:
        """Neighbours (2, T-1, B, n, h, w) in the coordinates of the frames that they go to."""
        (places, warps), *_ = self.groups
        if places is None:
            return warps.bring(pairs)
        order = [place for places, _ in self.groups for place in places or ()]
        parts = [warps.bring(pairs[:, :, list(places or ())]) for places, warps in self.groups]
        back = sorted(range(len(order)), key=order.__getitem__)
        return torch.cat(parts, dim=2)[:, :, back]


def _memory_format(x: Tensor) -> torch.memory_format:
    by_pixel = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if by_pixel else torch.contiguous_format
