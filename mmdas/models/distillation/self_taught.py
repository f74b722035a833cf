"""A model of clips whose image alone learns from all of its frames (after Yu and Huang, ICCV 2019, Sec. 3.2)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from mmdas.augment.content import content_sizes
from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.data_preprocessors.frame_window import cut_clip, draw_frames

from .error import DistillationError
from .features import FeatureDistillation
from .logits import content_map, pick_logits, recording
from .losses import DistillationLoss, loss_names
from .taught_model import TaughtModel, predicting_head, taught_class, untaught


class SelfDistillation:
    """What a model needs to learn from itself.

    Args:
        losses: at least one, of logits.
        place: attribute of the model that is its head, or the list of a cascade's heads, of which the last predicts.
        choices: numbers of frames below T, one of which is drawn for each batch.
        output: place of the logits, where the head returns several tensors in training. Default: the only one.

    Raises:
        DistillationError: without losses or choices, or for a loss of features.
    """

    def __init__(
        self, losses: Sequence[DistillationLoss], place: str, choices: Sequence[int], output: int | None = None
    ) -> None:
        if not losses or not choices:
            raise DistillationError('mmdas.SelfDistillHook needs losses, and numbers of frames below T')
        for loss in losses:
            if isinstance(loss, FeatureDistillation):
                raise DistillationError(
                    f'{type(loss).__name__} compares features, and mmdas.SelfDistillHook predictions; '
                    "give losses such as dict(type='mmdas.KLDistillation')"
                )
        self.losses, self.place, self.choices, self.output = tuple(losses), place, tuple(choices), output

    def __deepcopy__(self, memo: dict) -> 'SelfDistillation':
        return self

    def head(self, model: nn.Module) -> nn.Module:
        """The head of a model that predicts."""
        return predicting_head(model, self.place)

    def __call__(self, inputs: Tensor, samples: Sequence, wide: Any, narrow: Any, head: str) -> dict[str, Tensor]:
        """Distances of the predictions of few frames from those of all, which stay as they are.

        Args:
            inputs: of the batch, (B, channels, H, W).
            samples: of the batch.
            wide, narrow: what the head has returned for all frames, and for few.
            head: its name, for messages.

        Returns:
            ``self_distil_loss_NAME`` -> a number.
        """
        taught, learned = (pick_logits(output, self.output, head) for output in (wide, narrow))
        canvas = (inputs.shape[-2], inputs.shape[-1])
        sizes = content_sizes(samples, canvas) if hasattr(samples[0], 'gt_sem_seg') else None
        content = content_map(sizes, canvas, learned)
        return {
            name: loss(learned, taught.detach(), content) for name, loss in zip(self.names, self.losses, strict=True)
        }

    @property
    def names(self) -> list[str]:
        """Of the losses, in the log."""
        return loss_names('self_distil_loss', self.losses)


class SelfTaught(TaughtModel):
    """Mixin of a class that is made at run time: a host's model of clips, its loss, and a :class:`SelfDistillation`.

    Each step runs the model with all frames, which learn from the labels, and with few, which learn from what all
    predict. The model keeps its parts, keys and modes.
    """

    self_distillation: SelfDistillation

    def loss(self, inputs: Tensor, data_samples: Sequence, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Losses of all frames, and the distance of few frames from them."""
        rule = self.self_distillation
        head = rule.head(self)
        with recording(head) as wide:
            losses = super().loss(inputs, data_samples, *args, **kwargs)
        if not wide:  # the head has left the batch out, as one without labels
            return {**losses, **{name: inputs.new_zeros(()) for name in rule.names}}
        with recording(head) as narrow, fewer_frames(self.data_preprocessor, inputs, rule.choices) as cut:
            super().loss(cut, data_samples, *args, **kwargs)
        return {**losses, **rule(inputs, data_samples, wide[-1], narrow[-1], type(head).__name__)}


@contextmanager
def fewer_frames(preprocessor: ImageToClip, inputs: Tensor, choices: Sequence[int]) -> Iterator[Tensor]:
    """Inputs of a model that takes fewer frames meanwhile: their clips are cut, or will be where the model makes them.

    Args:
        preprocessor: of the model, in training mode.
        inputs: clips (B, T*C, H, W), or images (B, C, H, W) where the model makes the clips.
        choices: numbers of frames, one of which is drawn.

    Yields:
        The inputs for the model.
    """
    frames, before = draw_frames(choices), preprocessor.frame_dropout
    preprocessor.frame_dropout = (frames,)
    try:
        if preprocessor.gives_images:
            yield inputs
        else:
            preprocessor.frames_now = frames
            yield cut_clip(inputs, preprocessor.num_frames, frames)
    finally:
        preprocessor.frame_dropout = before


def teach_itself(model: Any, distillation: SelfDistillation) -> None:
    """Let a model of clips learn from itself from now on; its batches have all frames.

    Raises:
        DistillationError: if it has a teacher already.
    """
    if hasattr(model, 'distillation') or hasattr(model, 'self_distillation'):
        raise DistillationError(
            f'{type(model).__name__} has a teacher already; name one mmdas.DistillHook or mmdas.SelfDistillHook'
        )
    model.self_distillation = distillation
    model.data_preprocessor.frame_dropout = ()
    model.__class__ = taught_class(SelfTaught, type(model))  # type: ignore[arg-type]  # classes are hashable


def release_from_itself(model: Any, frame_dropout: Sequence[int]) -> None:
    """Make a model what it was before :func:`teach_itself`; other models stay as they are."""
    if isinstance(model, SelfTaught):
        untaught(model)
        model.data_preprocessor.frame_dropout = tuple(frame_dropout)
        del model.self_distillation
