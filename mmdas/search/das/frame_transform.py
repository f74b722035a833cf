"""Apply an operation to the frames of clips, each frame with the magnitude of its distance from the reference frame."""

import torch
from torch import Tensor, nn

from mmdas.ops.affine import PADDINGS, warp_affine
from mmdas.ops.clip import frame_offsets, reference_frame

from .operation import Operation, Size, ramp_offsets


class FrameTransform(nn.Module):
    """Turns time-major frames into transformed ones; the reference frame is passed on untouched.

    Args:
        num_frames: T >= 1.
        ramp: ``'signed'`` (magnitude grows with t - T//2) or ``'mirrored'`` (with its absolute value).
        padding: what geometric operations uncover: ``'zeros'``, ``'border'`` or ``'reflection'``.
        seed: random operations draw from it in evaluation mode, the same for every image, so that a prediction is
            repeatable; in training mode they draw from torch's global generator.
        reference_size: (H, W) in whose sides the shifts count, so that they are as many pixels in images of every
            size; None: the image's own size.

    Raises:
        ValueError: for T < 1, or an unknown ramp or padding.
    """

    offsets: Tensor

    def __init__(
        self,
        num_frames: int,
        ramp: str = 'signed',
        padding: str = 'zeros',
        seed: int = 0,
        reference_size: Size | None = None,
    ) -> None:
        super().__init__()
        if padding not in PADDINGS:
            raise ValueError(f'padding must be one of {PADDINGS}, got {padding!r}')
        self.num_frames = num_frames
        self.ramp = ramp
        self.padding = padding
        self.seed = seed
        self.reference_size = reference_size
        self.reference = reference_frame(num_frames)
        offsets = ramp_offsets(frame_offsets(num_frames), ramp)
        others = torch.cat([offsets[: self.reference], offsets[self.reference + 1 :]])
        self.register_buffer('offsets', others, persistent=False)

    def forward(
        self,
        frames: Tensor,
        operation: Operation,
        strength: Tensor,
        draw: int = 0,
        zero: Tensor | float = 0.0,
        size: Size | None = None,
    ) -> Tensor:
        """Transform all frames but the reference frame.

        Args:
            frames: (T, B, C, H, W), floating point.
            operation: what to do.
            strength: scalar, mu of the operation.
            draw: distinguishes the draws of several random operations in one evaluation.
            zero: (C, 1, 1) or a number, the colour of a value 0 of the frames, see
                :class:`mmdas.search.das.pixels.Pixels`.
            size: (H, W) in pixels of what the frames show, for feature maps of a stride. Default: their own.

        Returns:
            (T, B, C, H, W) in the dtype of the frames.

        Raises:
            ValueError: if the frames are integers.
        """
        check_floating_point(frames)
        if operation.is_identity or self.num_frames == 1:
            return frames
        before, middle, after = frames.split([self.reference, 1, self.num_frames - self.reference - 1])
        size = frames.shape[-2:] if size is None else size
        magnitude = self._magnitude(operation, strength, self.offsets.to(strength.dtype), size)
        # never below the strength's precision: a warp by half-precision coordinates misses its pixels
        magnitude = magnitude.to(torch.promote_types(magnitude.dtype, frames.dtype))
        others = torch.cat([before, after])
        if operation.matrix is not None:  # all images share the warp of a frame: fold the batch into the channels
            theta = operation.matrix(magnitude, size)
            changed = warp_affine(others.flatten(1, 2), theta, self.padding).view_as(others)
        else:
            changed = self._recolour(others, operation, magnitude, draw, zero).to(frames.dtype)
        before, after = changed.split([before.shape[0], after.shape[0]])
        return torch.cat([before, middle, after])

    def matrices(self, operation: Operation, strength: float, size: Size) -> Tensor:
        """Matrices of an operation for all frames but the reference frame.

        Args:
            operation: a geometric one.
            strength: mu.
            size: (H, W) in pixels of what the frames show.

        Returns:
            (T-1, 2, 3) in double precision.
        """
        if operation.matrix is None:
            raise ValueError(f'{operation.name} is no affine warp and has no matrices')
        mu = torch.tensor(strength, dtype=torch.float64, device=self.offsets.device)
        return operation.matrix(self._magnitude(operation, mu, self.offsets.double(), size), size)

    def _magnitude(self, operation: Operation, strength: Tensor, offsets: Tensor, size: Size) -> Tensor:
        return operation.magnitude(strength, offsets) * operation.side_ratio(self.reference_size, size)

    def _recolour(
        self, frames: Tensor, operation: Operation, magnitude: Tensor, draw: int, zero: Tensor | float
    ) -> Tensor:
        colours = frames + zero
        # A graph takes any number of images; it has the draws of one as constants (`mmdas.deploy.FixedDraws`).
        recorded = isinstance(colours.shape[1], torch.SymInt)
        if operation.random and not (self.training or recorded):
            images = [self._colour_operation(x, operation, magnitude, draw) for x in colours.split(1, dim=1)]
            return torch.cat(images, dim=1) - zero
        return self._colour_operation(colours, operation, magnitude, draw) - zero

    def _colour_operation(self, frames: Tensor, operation: Operation, magnitude: Tensor, draw: int) -> Tensor:
        options = {}
        if operation.random and not self.training:
            options['generator'] = torch.Generator().manual_seed(self.seed + draw)
        # (T-1)*B, as the flattened frames; ONNX repeats by an open number of images only so
        per_image = magnitude[:, None].expand(-1, frames.shape[1]).flatten()
        return operation.function(frames.flatten(0, 1), per_image, **options).view_as(frames)

    def extra_repr(self) -> str:
        return f'num_frames={self.num_frames}, ramp={self.ramp!r}, padding={self.padding!r}, seed={self.seed}'


def check_floating_point(images: Tensor) -> None:
    """Raise a ValueError for integers, which a warp would round."""
    if not images.is_floating_point():
        raise ValueError(f'images must be floating point, got {images.dtype}; divide uint8 images by 255')
