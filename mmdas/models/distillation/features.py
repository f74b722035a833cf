"""How far the features of a student's backbone are from those of its teacher."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.ops.clip import reference_frame, split_frames
from mmdas.registry import MODELS
from mmdas.search.das.operation import Size

from .error import DistillationError
from .logits import content_map, resized
from .losses import DistillationLoss, check_weight


def maps_of_images(features: Any, preprocessor: nn.Module, whose: str) -> list[Tensor]:
    """The maps of the image itself in what a backbone returns.

    Args:
        features: a map, or several of them: (B, C, h, w), or (B*T, C, h, w) of clips, of which the reference frame,
            which is the image, counts.
        preprocessor: of the model.
        whose: for messages.

    Returns:
        Maps (B, C, h, w), first stage first.

    Raises:
        DistillationError: for a backbone that returns no maps.
    """
    parts = [features] if torch.is_tensor(features) else list(features)
    shapes = [tuple(part.shape) if torch.is_tensor(part) else type(part).__name__ for part in parts]
    if not all(torch.is_tensor(part) and part.ndim == 4 for part in parts):
        raise DistillationError(
            f'the backbone of {whose} returns {shapes}; losses of features compare maps (B, C, h, w), take a loss of '
            'logits such as mmdas.KLDistillation'
        )
    frames = preprocessor.frames_now if isinstance(preprocessor, ImageToClip) else 1
    return [split_frames(part, frames)[:, reference_frame(frames)] for part in parts]


def attention_map(features: Tensor, content: Tensor | None = None) -> Tensor:
    """Where a map of features is strong: mean of the squares over the channels, of norm 1 (Sec. 3.1).

    Args:
        features: (B, C, h, w).
        content: (B, 1, h, w), True where a position counts. Default: all count.

    Returns:
        (B, h * w).
    """
    strength = features.float().square().mean(dim=1, keepdim=True)
    if content is not None:
        strength = strength.masked_fill(~content, 0)
    return F.normalize(strength.flatten(1), dim=1)


class FeatureDistillation(DistillationLoss):
    """A weighted distance of features, from ``(student's maps, teacher's maps, sizes, canvas)``."""

    def __init__(self, weight: float) -> None:
        nn.Module.__init__(self)
        self.weight = check_weight(weight)

    def extra_repr(self) -> str:
        return f'weight={self.weight}'


@MODELS.register_module()
class AttentionTransfer(FeatureDistillation):
    """Squared distance of the attention maps of stages (Zagoruyko and Komodakis, ICLR 2017, Eq. 2).

    It has no parameters, and compares stages of any number of channels. Teacher maps of another size are resized.

    Args:
        stages: places in what the backbones return, in which both count from the same end. Default: the last one.
        weight: of the sum over the stages, >= 0. Default: 10, near that of the paper for maps of 8 x 8.

    Raises:
        DistillationError: for a negative weight or no stage; in a call for a stage that a backbone does not return.
    """

    name = 'at'

    def __init__(self, stages: Sequence[int] = (-1,), weight: float = 10.0) -> None:
        super().__init__(weight)
        self.stages = tuple(stages)
        if not self.stages:
            raise DistillationError('stages of mmdas.AttentionTransfer must name a stage, got none')

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], sizes: Sequence[Size] | None, canvas: Size
    ) -> Tensor:
        """Mean over the images, a number."""
        total = student[0].new_zeros((), dtype=torch.float32)
        for stage in self.stages:
            for whose, maps in (('student', student), ('teacher', teacher)):
                if not -len(maps) <= stage < len(maps):
                    raise DistillationError(
                        f'stages of mmdas.AttentionTransfer names {stage}, but the backbone of the {whose} returns '
                        f'{len(maps)} maps; its out_indices say which'
                    )
            own, other = student[stage], teacher[stage]
            content = content_map(sizes, canvas, own)
            learned, taught = (attention_map(maps, content) for maps in (own, resized(other, own.shape[-2:])))
            total = total + (learned - taught).square().sum(dim=1).mean()
        return self.weight * total

    def extra_repr(self) -> str:
        return f'stages={self.stages}, {super().extra_repr()}'
