"""The reduction of T per-frame predictions to one (DAS, Sec. 3: the mean of the logits)."""

from typing import Any

import torch
from torch import Tensor, nn

from mmdas.models.settings import Recorded
from mmdas.ops.clip import reference_frame, split_frames

POOLINGS = ('mean', 'reference', 'max', 'attention')


class TemporalPooling(Recorded, nn.Module):
    """Pool predictions over the frames of each image.

    Args:
        num_frames: T >= 1; with one frame the predictions pass unchanged.
        mode: ``'mean'``; ``'reference'`` takes frame T//2 alone; ``'max'``, per class and pixel; ``'attention'``
            weighs the frames per pixel with the softmax of a learned linear score of the logits, which starts as the
            mean.
        channels: classes K of the predictions, needed by ``'attention'`` alone.
        accept_difference: whether weights may be loaded that were trained with another pooling. Default: False.

    Shape:
        (B*T, K, ...) -> (B, K, ...).

    Raises:
        ValueError: for another mode, or a batch that is not made of clips; on loading weights that were trained with
            another pooling.
    """

    place = 'head'

    def __init__(
        self, num_frames: int, mode: str = 'mean', channels: int | None = None, accept_difference: bool = False
    ) -> None:
        super().__init__()
        if num_frames < 1:
            raise ValueError(f'num_frames must be at least 1, got {num_frames}')
        if mode not in POOLINGS:
            raise ValueError(f'pooling must be one of {POOLINGS}, got {mode!r}')
        self.num_frames = num_frames
        self.mode = mode
        self.accept_difference = accept_difference
        if mode == 'attention' and not channels:
            raise ValueError(f'attention pooling needs the number of classes, got channels={channels}')
        # One frame needs no weight, and parameters that no loss reaches stop distributed training.
        self.score = nn.Linear(channels, 1) if mode == 'attention' and num_frames > 1 else None
        self.init_weights()

    def settings(self) -> dict[str, Any]:
        """Frames and mode."""
        return {'num_frames': self.num_frames, 'pooling': self.mode}

    def init_weights(self) -> None:
        """Equal weights for all frames."""
        if self.score is not None:
            nn.init.zeros_(self.score.weight)
            nn.init.zeros_(self.score.bias)

    def forward(self, predictions: Tensor) -> Tensor:
        if self.num_frames == 1:
            return predictions
        frames = split_frames(predictions, self.num_frames)  # (B, T, K, ...)
        if self.mode == 'mean':
            return frames.mean(dim=1)
        if self.mode == 'max':
            return frames.amax(dim=1)
        if self.mode == 'reference':
            return frames[:, reference_frame(self.num_frames)]
        scores = self.score(frames.movedim(2, -1)).movedim(-1, 2)  # (B, T, 1, ...)
        return (scores.softmax(dim=1) * frames).sum(dim=1)

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
