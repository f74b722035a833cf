"""Apply an operation to the frames of clips, each frame with the magnitude of its distance from the reference frame."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdas.ops.affine import PADDINGS
from mmdas.ops.clip import frame_offsets, reference_frame

from .operation import Operation, ramp_offsets


class FrameTransform(nn.Module):
    """Turns time-major frames into transformed ones; the reference frame is passed on untouched.

    Args:
        num_frames: T >= 1.
        ramp: ``'signed'`` (magnitude grows with t - T//2) or ``'mirrored'`` (with its absolute value).
        padding: what geometric operations uncover: ``'zeros'``, ``'border'`` or ``'reflection'``.
        mean, std: the normalisation that the images have undergone, per channel in pixel values 0..255. Colour
            operations undo and redo it. None: the images are in [0, 1].
        seed: random operations draw from it in evaluation mode, the same for every image, so that a prediction is
            repeatable; in training mode they draw from torch's global generator.

    Raises:
        ValueError: for T < 1, an unknown ramp or padding, or one of mean and std without the other.
    """

    def __init__(
        self,
        num_frames: int,
        ramp: str = 'signed',
        padding: str = 'zeros',
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if padding not in PADDINGS:
            raise ValueError(f'padding must be one of {PADDINGS}, got {padding!r}')
        if (mean is None) != (std is None):
            raise ValueError(f'give both mean and std or neither, got mean={mean}, std={std}')
        self.num_frames = num_frames
        self.ramp = ramp
        self.padding = padding
        self.seed = seed
        self.reference = reference_frame(num_frames)
        offsets = ramp_offsets(frame_offsets(num_frames), ramp)
        others = torch.cat([offsets[: self.reference], offsets[self.reference + 1 :]])
        self.register_buffer('offsets', others, persistent=False)
        self.normalized = mean is not None
        if self.normalized:
            self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1), persistent=False)
            self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(-1, 1, 1), persistent=False)

    def forward(self, frames: Tensor, operation: Operation, strength: Tensor, draw: int = 0) -> Tensor:
        """Transform all frames but the reference frame.

        Args:
            frames: (T, B, C, H, W), floating point.
            operation: what to do.
            strength: scalar, mu of the operation.
            draw: distinguishes the draws of several random operations in one evaluation.

        Returns:
            (T, B, C, H, W) in the dtype of the frames.

        Raises:
            ValueError: if the frames are integers.
        """
        check_floating_point(frames)
        if operation.is_identity or self.num_frames == 1:
            return frames
        before, middle, after = frames.split([self.reference, 1, self.num_frames - self.reference - 1])
        magnitude = operation.magnitude(strength, self.offsets.to(strength.dtype))
        # never below the strength's precision: a warp by half-precision coordinates misses its pixels
        magnitude = magnitude.to(torch.promote_types(magnitude.dtype, frames.dtype))
        changed = self._transform(torch.cat([before, after]), operation, magnitude, draw).to(frames.dtype)
        before, after = changed.split([before.shape[0], after.shape[0]])
        return torch.cat([before, middle, after])

    def matrices(self, operation: Operation, strength: float, size: tuple[int, int]) -> Tensor:
        """Matrices of an operation for all frames but the reference frame.

        Args:
            operation: a geometric one.
            strength: mu.
            size: (H, W) of the frames.

        Returns:
            (T-1, 2, 3) in double precision.
        """
        strength = torch.tensor(strength, dtype=torch.float64, device=self.offsets.device)
        return operation.matrix(operation.magnitude(strength, self.offsets.double()), size)

    def _transform(self, frames: Tensor, operation: Operation, magnitude: Tensor, draw: int) -> Tensor:
        if operation.geometric:  # all images share the warp of a frame: fold the batch into the channels
            return operation.function(frames.flatten(1, 2), magnitude, padding=self.padding).view_as(frames)
        colours = self._to_unit_range(frames)
        if operation.random and not self.training:
            images = [self._colour_operation(x, operation, magnitude, draw) for x in colours.split(1, dim=1)]
            return self._from_unit_range(torch.cat(images, dim=1))
        return self._from_unit_range(self._colour_operation(colours, operation, magnitude, draw))

    def _colour_operation(self, frames: Tensor, operation: Operation, magnitude: Tensor, draw: int) -> Tensor:
        options = {}
        if operation.random and not self.training:
            options['generator'] = torch.Generator().manual_seed(self.seed + draw)
        per_image = magnitude.repeat_interleave(frames.shape[1])  # (T-1)*B, as the flattened frames
        return operation.function(frames.flatten(0, 1), per_image, **options).view_as(frames)

    def _to_unit_range(self, frames: Tensor) -> Tensor:
        return (frames * self.std + self.mean) / 255 if self.normalized else frames

    def _from_unit_range(self, frames: Tensor) -> Tensor:
        return (frames * 255 - self.mean) / self.std if self.normalized else frames

    def extra_repr(self) -> str:
        return f'num_frames={self.num_frames}, ramp={self.ramp!r}, padding={self.padding!r}, seed={self.seed}'


def check_floating_point(images: Tensor) -> None:
    """Raise a ValueError for integers, which a warp would round."""
    if not images.is_floating_point():
        raise ValueError(f'images must be floating point, got {images.dtype}; divide uint8 images by 255')
