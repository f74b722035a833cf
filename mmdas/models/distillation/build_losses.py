"""Losses of a distillation from their configs."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdas.registry import MODELS

from .error import DistillationError
from .losses import DistillationLoss

EXPECTED = "expected a list such as [dict(type='mmdas.KLDistillation', temperature=4)]"


def loss_configs(losses: Any, hook: str) -> list[dict[str, Any]]:
    """Copies of the configs of losses.

    Args:
        losses: a sequence of dicts with ``type``.
        hook: that has them, for messages.

    Raises:
        DistillationError: for anything else.
    """
    if not isinstance(losses, Sequence) or not all(isinstance(loss, Mapping) and 'type' in loss for loss in losses):
        raise DistillationError(f'losses of {hook} is {losses!r}, {EXPECTED}')
    return [dict(loss) for loss in losses]


def build_losses(configs: Sequence[Mapping[str, Any]], hook: str) -> list[DistillationLoss]:
    """The losses.

    Args:
        configs: as of :func:`loss_configs`.
        hook: that has them, for messages.

    Raises:
        DistillationError: for an unknown type, option or value, or a loss that compares no teacher.
    """
    losses = []
    for config in configs:
        try:
            loss = MODELS.build(dict(config))
        except DistillationError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise DistillationError(f'losses of {hook} holds {dict(config)}: {reason}; {EXPECTED}') from error
        if not isinstance(loss, DistillationLoss):
            raise DistillationError(
                f'losses of {hook} holds {type(loss).__name__}, which does not compare with a teacher; {EXPECTED}'
            )
        losses.append(loss)
    return losses


def description(loss: DistillationLoss) -> str:
    """A loss with all of its settings, such as ``KLDistillation(temperature=4.0, weight=1.0)``."""
    return f'{type(loss).__name__}({loss.extra_repr()})'
