"""The frames of a clip that the steps of a search use: fewer are cheaper."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.frame_count import FrameCount

from .utils import unwrap

STEPS = ('warmup', 'weights', 'policy')


class StepFrames:
    """How many frames around the reference frame each kind of step uses.

    Args:
        model: of the search; its data preprocessor makes clips of T frames.
        frames: ``warmup`` (steps of the weights before the policy phase), ``weights`` and ``policy`` (those of the
            policy phase) -> 1 to T. A kind that is not named uses all.

    Raises:
        ValueError: for another kind or number, or for parts of the model that take T frames alone.
    """

    def __init__(self, model: nn.Module, frames: Mapping[str, int] | None = None) -> None:
        frames = dict(frames or {})
        host = unwrap(model)
        if frames:
            check_step_frames(host, frames)
        total = getattr(getattr(host, 'data_preprocessor', None), 'num_frames', 1)
        self.frames = frames
        self.shares = {kind: frames.get(kind, total) / total for kind in STEPS}

    def of_phase(self, phase: str) -> dict[str, int | None]:
        """Frames of the steps of both optimisers in a phase, None for all."""
        kinds = {'weights': {'weights': 'warmup'}, 'policy': {'weights': 'weights', 'policy': 'policy'}}
        return {name: self.frames.get(kind) for name, kind in kinds.get(phase, {}).items()}


@contextmanager
def using_frames(model: nn.Module, frames: int | None) -> Iterator[None]:
    """Let a model see so many frames around the reference frame for a while; None leaves it as it is."""
    if frames is None:
        yield
        return
    preprocessor: Any = unwrap(model).data_preprocessor
    before, preprocessor.used_frames = preprocessor.used_frames, frames
    try:
        yield
    finally:
        preprocessor.used_frames = before


def check_step_frames(model: Any, frames: Mapping[str, int]) -> None:
    """Raise a ValueError for frames of steps that cannot be used."""
    place = 'train_cfg.step_frames'
    unknown = sorted(set(frames) - set(STEPS))
    if unknown:
        raise ValueError(f'{place} has {", ".join(unknown)}; it takes {", ".join(STEPS)}')
    if not isinstance(model.data_preprocessor, ImageToClip):
        raise ValueError(f'{place} is for searches whose data preprocessor makes clips; leave it out')
    total = model.data_preprocessor.num_frames
    for kind, number in frames.items():
        if type(number) is not int or not 1 <= number <= total:
            raise ValueError(f'{place}.{kind} is {number!r}, expected a whole number from 1 to num_frames={total}')
    for name, module in model.named_modules():
        if isinstance(module, FrameCount) and not module.any_frames:
            raise ValueError(
                f'{place} has steps of fewer than {total} frames, which {name} does not take; set any_frames=True in '
                'the backbone and in each head, or leave it out'
            )
