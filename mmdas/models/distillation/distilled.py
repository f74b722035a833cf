"""A student: a model of a toolbox whose training loss also compares it with a teacher."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.augment.content import content_sizes
from mmdas.search.das.operation import Size

from .error import DistillationError
from .features import FeatureDistillation, maps_of_images
from .logits import check_classes, content_map, pick_logits, recording, resized
from .losses import DistillationLoss, loss_names
from .pixels import PixelChange, images_of
from .taught_model import TaughtModel, predicting_head, taught_class, untaught
from .teacher import Teacher


class Distillation:
    """What a student needs beside its own parts; copies of the student share it.

    Args:
        teachers: of the student; of several the mean of the logits counts, or the mean of the losses of features.
        losses: at least one; of several of a name the later ones get a number in the log.
        place: attribute of the student that is its head, or the list of a cascade's heads, of which the last predicts.
        output: place of the logits, where the student's head returns several tensors in training. Default: the only
            one.
        swap_colours: whether the teachers' networks take colours in the other order, see :class:`PixelChange`.

    Raises:
        DistillationError: without losses or teachers.
    """

    def __init__(
        self,
        teachers: Sequence[Teacher],
        losses: Sequence[DistillationLoss],
        place: str,
        output: int | None = None,
        swap_colours: bool | None = None,
    ) -> None:
        if not losses or not teachers:
            raise DistillationError(
                "a distillation needs teachers, and losses such as [dict(type='mmdas.KLDistillation')]"
            )
        self.teachers, self.losses = tuple(teachers), tuple(losses)
        self.place, self.output, self.swap_colours = place, output, swap_colours
        self._changes: list[PixelChange] = []

    def __deepcopy__(self, memo: dict) -> 'Distillation':
        return self

    def head(self, student: nn.Module) -> nn.Module:
        """The head of a student that predicts."""
        return predicting_head(student, self.place)

    def watching(self, model: Any) -> AbstractContextManager[list[Any]]:
        """Note the outputs of a backbone, where a loss compares them."""
        wanted = any(isinstance(loss, FeatureDistillation) for loss in self.losses)
        return recording(model.backbone) if wanted else nullcontext([])

    def __call__(
        self, student: Any, inputs: Tensor, samples: Sequence, outputs: Sequence, features: Sequence = ()
    ) -> dict[str, Tensor]:
        """The losses of a batch.

        Args:
            student: the model.
            inputs: that it has taken: images (B, C, H, W), or clips where its data preprocessor makes them.
            samples: of the batch.
            outputs: of its head's calls; none where the head has left the batch out, as one without labels.
            features: of its backbone's calls, where :meth:`watching` noted them.

        Returns:
            ``distil_loss_NAME`` -> a number.
        """
        if not outputs:
            return {name: inputs.new_zeros(()) for name in loss_names('distil_loss', self.losses)}
        images = images_of(inputs, student.data_preprocessor)
        canvas: Size = (images.shape[-2], images.shape[-1])
        sizes = content_sizes(samples, canvas) if hasattr(samples[0], 'gt_sem_seg') else None
        self._prepare(student)
        head = self.head(student)
        learned = pick_logits(outputs[-1], self.output, f'the student ({type(head).__name__})')
        taught, stages = self._teach(images, samples, sizes, learned)
        content = content_map(sizes, canvas, learned)
        values = []
        for loss in self.losses:
            if isinstance(loss, FeatureDistillation):
                own = maps_of_images(features[-1], student.data_preprocessor, 'the student')
                values.append(torch.stack([loss(own, other, sizes, canvas) for other in stages]).mean())
            else:
                values.append(loss(learned, taught, content))
        return dict(zip(loss_names('distil_loss', self.losses), values, strict=True))

    def _prepare(self, student: Any) -> None:
        if not self._changes:
            self._changes = [
                PixelChange(student.data_preprocessor, teacher.model.data_preprocessor, self.swap_colours)
                for teacher in self.teachers
            ]

    def _teach(
        self, images: Tensor, samples: Sequence, sizes: Sequence[Size] | None, learned: Tensor
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """The mean of the teachers' logits at the size of the student's, and the maps of each, where they are noted."""
        logits, stages = [], []
        for teacher, change in zip(self.teachers, self._changes, strict=True):
            with self.watching(teacher.model) as seen:
                found = teacher(change(images, sizes), samples, sizes)
            check_classes(learned, found)
            logits.append(resized(found, learned.shape[2:]))
            if seen:  # of the image, its mirror image comes later
                stages.append(maps_of_images(seen[0], teacher.model.data_preprocessor, 'the teacher'))
        return (torch.stack(logits).mean(dim=0) if len(logits) > 1 else logits[0]), stages


class Distilled(TaughtModel):
    """Mixin of a class that is made at run time: a host's model, its loss, and that of a :class:`Distillation`.

    The model keeps its parts, keys and modes. :func:`distil` and :func:`release` change its class and back.
    """

    distillation: Distillation

    def loss(self, inputs: Tensor, data_samples: Sequence, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Losses of the host, and the distance from the teacher; the student runs once."""
        distillation = self.distillation
        with recording(distillation.head(self)) as outputs, distillation.watching(self) as features:
            losses = super().loss(inputs, data_samples, *args, **kwargs)
        return {**losses, **distillation(self, inputs, data_samples, outputs, features)}


def distil(model: Any, distillation: Distillation) -> None:
    """Let a model learn from a teacher, too, from now on.

    Args:
        model: of a toolbox; its class is changed.
        distillation: its teacher and losses.

    Raises:
        DistillationError: if it has a teacher already.
    """
    if hasattr(model, 'distillation') or hasattr(model, 'self_distillation'):
        raise DistillationError(
            f'{type(model).__name__} has a teacher already; name one mmdas.DistillHook or mmdas.SelfDistillHook'
        )
    model.distillation = distillation
    model.__class__ = taught_class(Distilled, type(model))  # type: ignore[arg-type]  # classes are hashable


def release(model: Any) -> None:
    """Make a model what it was before :func:`distil`; other models stay as they are."""
    if isinstance(model, Distilled):
        untaught(model)
        del model.distillation


__all__ = ['Distillation', 'Distilled', 'distil', 'release']
