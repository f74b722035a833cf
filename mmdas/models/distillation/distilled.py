"""A student: a model of a toolbox whose training loss also compares it with a teacher."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.augment.content import content_sizes
from mmdas.search.das.operation import Size

from .cached_logits import CachedLogits
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

    Attributes:
        cached: what the teachers have said of each image of the training set; None where they see each batch.

    Raises:
        DistillationError: without losses or teachers.
    """

    cached: CachedLogits | None = None

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

    def check_cached(self) -> None:
        """Check that no loss needs more than logits, which is all that can be cached.

        Raises:
            DistillationError: where a loss compares features.
        """
        names = [type(loss).__name__ for loss in self.losses if isinstance(loss, FeatureDistillation)]
        if names:
            raise DistillationError(
                f'{names[0]} compares features, and cached are logits alone; take losses of logits such as kl, or '
                'leave out --cache (cache=True of mmdas.DistillHook)'
            )

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
        learned = pick_logits(outputs[-1], self.output, f'the student ({type(self.head(student)).__name__})')
        cached = self.cached
        if cached is None:
            found, stages = self.teach(student, images, samples, sizes)
        else:
            found, stages = [cached(samples).to(learned.device)], []
        taught = mean_of(found, learned)
        content = content_map(sizes, canvas, learned)
        values = []
        for loss in self.losses:
            if isinstance(loss, FeatureDistillation):
                own = maps_of_images(features[-1], student.data_preprocessor, 'the student')
                values.append(torch.stack([loss(own, other, sizes, canvas) for other in stages]).mean())
            else:
                values.append(loss(learned, taught, content))
        return dict(zip(loss_names('distil_loss', self.losses), values, strict=True))

    def teach(
        self, student: Any, images: Tensor, samples: Sequence, sizes: Sequence[Size] | None = None
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """What the teachers say of images.

        Args:
            student: whose data preprocessor has normalised the images.
            images: (B, C, H, W).
            samples: of the batch.
            sizes: (H, W) of the contents in the upper left corners. Default: all is content.

        Returns:
            The logits of each teacher, and the maps of each where a loss compares them.
        """
        if not self._changes:
            self._changes = [
                PixelChange(student.data_preprocessor, teacher.model.data_preprocessor, self.swap_colours)
                for teacher in self.teachers
            ]
        logits, stages = [], []
        for teacher, change in zip(self.teachers, self._changes, strict=True):
            with self.watching(teacher.model) as seen:
                logits.append(teacher(change(images, sizes), samples, sizes))
            if seen:  # of the image, its mirror image comes later
                stages.append(maps_of_images(seen[0], teacher.model.data_preprocessor, 'the teacher'))
        return logits, stages


def mean_of(logits: Sequence[Tensor], learned: Tensor) -> Tensor:
    """The mean of the logits of teachers, at the size of the student's.

    Raises:
        DistillationError: if they are of other classes than the student's.
    """
    for found in logits:
        check_classes(learned, found)
    maps = [resized(found, learned.shape[2:]) for found in logits]
    return torch.stack(maps).mean(dim=0) if len(maps) > 1 else maps[0]


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
