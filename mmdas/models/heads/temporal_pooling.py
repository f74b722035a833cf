"""The reduction of T per-frame predictions to one (DAS, Sec. 3: the mean of the logits)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.models.frame_count import FrameCount
from mmdas.ops.clip import reference_frame, split_frames

ALIGNED = ('aligned', 'aligned_attention')
POOLINGS = ('mean', 'reference', 'max', 'attention', *ALIGNED)


class TemporalPooling(FrameCount, nn.Module):
    """Pool predictions over the frames of each image.

    Args:
        num_frames: T >= 1; with one frame the predictions pass unchanged. None leaves it open, see
            :class:`FrameCount`.
        mode: ``'mean'``; ``'reference'`` takes frame T//2 alone; ``'max'``, per class and pixel; ``'attention'``
            weighs the frames per pixel with the softmax of a learned linear score of the logits, which starts as the
            mean; ``'aligned'`` carries every frame's map back to where the image is, by the inverse of its warp, and
            takes the mean of those frames that show a pixel; ``'aligned_attention'`` weighs them on top of that.
            The aligned ones need maps, and :attr:`unwarp`, which the segmentors of DAS set.
        channels: classes K of the predictions, needed by the attentions alone.
        accept_difference: whether weights may be loaded that were trained with another pooling. Default: False.
        any_frames: whether predictions of fewer frames may come. Default: False.
        used_frames: frames of an image where fewer may come and no samples tell. Default: T.

    Attributes:
        unwarp: maps (T, B, K, h, w) on the frames -> the same on the image, zero where a frame does not show it.

    Shape:
        (B*T, K, ...) -> (B, K, ...).

    Raises:
        ValueError: for another mode, or a batch that is not made of clips; on loading weights that were trained with
            another pooling.
    """

    place = 'head'

    def __init__(
        self,
        num_frames: int | None,
        mode: str = 'mean',
        channels: int | None = None,
        accept_difference: bool = False,
        any_frames: bool = False,
        used_frames: int | None = None,
    ) -> None:
        super().__init__(num_frames, any_frames)
        self.used_frames = used_frames
        if mode not in POOLINGS:
            raise ValueError(f'pooling must be one of {POOLINGS}, got {mode!r}')
        self.mode = mode
        self.accept_difference = accept_difference
        self.counted = False  # whether the samples of the current batch have said T
        attends = mode.endswith('attention')
        self.unwarp: Callable[[Tensor], Tensor] | None = None
        if attends and not channels:
            raise ValueError(f'attention pooling needs the number of classes, got channels={channels}')
        # One frame needs no weight, and parameters that no loss reaches stop distributed training.
        self.score = nn.Linear(channels, 1) if attends and channels and num_frames != 1 else None
        self.init_weights()

    def settings(self) -> dict[str, Any]:
        """Frames and mode."""
        return {**super().settings(), 'pooling': self.mode}

    @property
    def aligns(self) -> bool:
        """Whether maps are carried back to the image."""
        return self.mode in ALIGNED and self.num_frames != 1

    def known_frames(self) -> int:
        """T, or the frames of the batch where any number may come.

        Raises:
            ValueError: if nothing has told it, and no samples come with the batch.
        """
        if self.any_frames:
            frames = self.frames_now or self.used_frames or self.num_frames
            if frames is not None:
                return frames
        if self.num_frames is None or (self.is_open and not (self.is_recorded or self.counted)):
            raise ValueError(
                'head.num_frames is open and no samples say how many images the frames come from; set it in the head, '
                'load a checkpoint first, or pass samples'
            )
        return self.num_frames

    def init_weights(self) -> None:
        """Equal weights for all frames."""
        if self.score is not None:
            nn.init.zeros_(self.score.weight)
            nn.init.zeros_(self.score.bias)

    def forward(self, predictions: Tensor) -> Tensor:
        if self.known_frames() == 1:
            return predictions
        frames = split_frames(predictions, self.known_frames())  # (B, T, K, ...)
        if self.mode == 'mean':
            return frames.mean(dim=1)
        if self.mode == 'max':
            return frames.amax(dim=1)
        if self.mode == 'reference':
            return frames[:, reference_frame(self.known_frames())]
        if self.aligns:
            return self._pool_aligned(frames)
        return (self._scores(frames).softmax(dim=1) * frames).sum(dim=1)

    def _scores(self, frames: Tensor) -> Tensor:
        """(B, T, K, ...) -> (B, T, 1, ...)."""
        return self.score(frames.movedim(2, -1)).movedim(-1, 2)  # type: ignore[misc]  # there in this mode

    def _pool_aligned(self, frames: Tensor) -> Tensor:
        """Mean over the frames that show a pixel; the reference frame shows all."""
        if frames.ndim != 5:
            raise ValueError(f"pooling={self.mode!r} needs maps, but the head predicts vectors too; use pooling='mean'")
        if self.unwarp is None:
            raise ValueError(
                f'pooling={self.mode!r} needs the warps of the frames; set '
                "model.type='mmdas.DASEncoderDecoder', which hands them over"
            )
        maps = torch.cat([frames, torch.ones_like(frames[:, :, :1])], dim=2).transpose(0, 1)
        *_, shown = parts = self.unwarp(maps).transpose(0, 1).split([frames.shape[2], 1], dim=2)
        if self.score is not None:
            logits = parts[0] / shown.clamp(min=1e-3)
            weights = self._scores(logits).masked_fill(shown == 0, float('-inf')).softmax(dim=1)
            return self._weighted(parts[0] * weights, shown * weights)
        return self._weighted(*parts)

    @staticmethod
    def _weighted(parts: Tensor, shown: Tensor) -> Tensor:
        return parts.sum(dim=1) / shown.sum(dim=1)

    def extra_repr(self) -> str:
        return f'num_frames={self.num_frames}, mode={self.mode!r}'


def pool_structure(predictions: object, pooling: TemporalPooling) -> object:
    """Pool every tensor in a (nested) tuple, list or dict of predictions; None stays."""
    if torch.is_tensor(predictions):
        return pooling(predictions)
    if isinstance(predictions, dict):
        return {key: pool_structure(value, pooling) for key, value in predictions.items()}
    if isinstance(predictions, (tuple, list)):
        return type(predictions)(pool_structure(value, pooling) for value in predictions)
    return predictions
