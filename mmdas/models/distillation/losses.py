"""How far a student's logits are from its teacher's."""

import math
from collections.abc import Sequence
from numbers import Real

import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.registry import MODELS

from .error import DistillationError


def kl_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0, content: Tensor | None = None) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) over the classes (Hinton et al. 2015, Sec. 2).

    Args:
        student: logits (B, K) or (B, K, h, w). One channel is the logit of a class against all else, as of a sigmoid.
        teacher: logits of the same shape.
        temperature: T > 0; with T^2 the gradient keeps its size.
        content: (B, 1, h, w), True where a position counts. Default: all count.

    Returns:
        Mean over images and positions, a number; zero where nothing counts.
    """
    if student.shape[1] == 1:
        student, teacher = (F.pad(logits, (0, 0) * (logits.ndim - 2) + (1, 0)) for logits in (student, teacher))
    learned, taught = ((logits.float() / temperature).log_softmax(dim=1) for logits in (student, teacher))
    distances = (taught.exp() * (taught - learned)).sum(dim=1, keepdim=True)  # (B, 1, ...)
    if content is None:
        return temperature**2 * distances.mean()
    return temperature**2 * distances.masked_fill(~content, 0).sum() / content.sum().clamp(min=1)


def channel_wise_divergence(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, content: Tensor | None = None
) -> Tensor:
    """T^2 KL of each channel's softmax over the positions (CWD, Shu et al. 2021, Eq. 2 to 4).

    Args:
        student: logits (B, K, h, w).
        teacher: logits of the same shape.
        temperature: T > 0.
        content: (B, 1, h, w), True where a position counts. Default: all count.

    Returns:
        Mean over images and channels, a number.

    Raises:
        DistillationError: for logits without positions.
    """
    if student.ndim != 4:
        raise DistillationError(
            f'channel-wise distillation compares maps of logits, got the shape {tuple(student.shape)}; '
            "a classification takes dict(type='mmdas.KLDistillation')"
        )
    maps = [logits.float() / temperature for logits in (student, teacher)]
    if content is not None:
        maps = [logits.masked_fill(~content, float('-inf')) for logits in maps]
    learned, taught = (logits.flatten(2).log_softmax(dim=2) for logits in maps)  # (B, K, h*w)
    distances = taught.exp() * (taught - learned)
    if content is not None:
        distances = distances.masked_fill(~content.flatten(2), 0)
    return temperature**2 * distances.sum(dim=2).mean()


def check_weight(weight: float) -> float:
    """A weight of a loss.

    Raises:
        DistillationError: if it is negative, not finite, or no number.
    """
    if not is_number(weight) or weight < 0:
        raise DistillationError(f'weight of a distillation must be at least 0, got {weight!r}; give a finite number')
    return float(weight)


def is_number(value: object) -> bool:
    """Whether a setting is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def loss_names(prefix: str, losses: Sequence['DistillationLoss']) -> list[str]:
    """Names of losses in the log; of several of one name the later ones get a number."""
    names: list[str] = []
    for loss in losses:
        count = sum(name.rstrip('0123456789') == f'{prefix}_{loss.name}' for name in names)
        names.append(f'{prefix}_{loss.name}{count + 1 if count else ""}')
    return names


class DistillationLoss(nn.Module):
    """A weighted distance of logits.

    Args:
        temperature: T > 0, by which logits are divided.
        weight: of this loss beside those of the student, >= 0.

    Attributes:
        name: of the loss in the log, after ``distil_loss_``.

    Raises:
        DistillationError: for a temperature that is not above 0, a negative weight, or one that is not finite.
    """

    name: str

    def __init__(self, temperature: float, weight: float) -> None:
        super().__init__()
        if not is_number(temperature) or temperature <= 0:
            raise DistillationError(
                f'temperature of a distillation must be above 0, got {temperature!r}; give a finite number'
            )
        self.temperature, self.weight = float(temperature), check_weight(weight)

    def extra_repr(self) -> str:
        return f'temperature={self.temperature}, weight={self.weight}'


@MODELS.register_module()
class KLDistillation(DistillationLoss):
    """:func:`kl_divergence` over the classes, of images or of each position of a map.

    Args:
        temperature, weight: as of :class:`DistillationLoss`. Default: 4 and 1.
    """

    name = 'kl'

    def __init__(self, temperature: float = 4.0, weight: float = 1.0) -> None:
        super().__init__(temperature, weight)

    def forward(self, student: Tensor, teacher: Tensor, content: Tensor | None = None) -> Tensor:
        return self.weight * kl_divergence(student, teacher, self.temperature, content)


@MODELS.register_module()
class ChannelWiseDistillation(DistillationLoss):
    """:func:`channel_wise_divergence`, for segmentation.

    Args:
        temperature, weight: as of :class:`DistillationLoss`. Default: 4 and 3, those of the paper.
    """

    name = 'cwd'

    def __init__(self, temperature: float = 4.0, weight: float = 3.0) -> None:
        super().__init__(temperature, weight)

    def forward(self, student: Tensor, teacher: Tensor, content: Tensor | None = None) -> Tensor:
        return self.weight * channel_wise_divergence(student, teacher, self.temperature, content)
