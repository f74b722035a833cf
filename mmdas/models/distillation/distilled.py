"""A student: a model of a toolbox whose training loss also compares it with a teacher."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from torch import Tensor, nn

from mmdas.augment.content import content_sizes
from mmdas.models.settings import Parent

from .error import DistillationError
from .logits import check_classes, content_map, pick_logits, recording, resized
from .losses import DistillationLoss
from .pixels import PixelChange, images_of
from .teacher import Teacher


class Distillation:
    """What a student needs beside its own parts; copies of the student share it.

    Args:
        teacher: of the student.
        losses: at least one; of several of a name the later ones get a number in the log.
        place: attribute of the student that is its head, or the list of a cascade's heads, of which the last predicts.
        output: place of the logits, where the student's head returns several tensors in training. Default: the only
            one.
        swap_colours: whether the teacher's network takes colours in the other order, see :class:`PixelChange`.

    Raises:
        DistillationError: without losses.
    """

    def __init__(
        self,
        teacher: Teacher,
        losses: Sequence[DistillationLoss],
        place: str,
        output: int | None = None,
        swap_colours: bool | None = None,
    ) -> None:
        if not losses:
            raise DistillationError("a distillation needs losses, such as [dict(type='mmdas.KLDistillation')]")
        self.teacher, self.losses = teacher, tuple(losses)
        self.place, self.output, self.swap_colours = place, output, swap_colours
        self._change: PixelChange | None = None

    def __deepcopy__(self, memo: dict) -> 'Distillation':
        return self

    def head(self, student: nn.Module) -> nn.Module:
        """The head of a student that predicts."""
        head = getattr(student, self.place)
        return head[-1] if isinstance(head, nn.ModuleList) else head

    def __call__(self, student: Any, inputs: Tensor, samples: Sequence, outputs: Sequence) -> dict[str, Tensor]:
        """The losses of a batch.

        Args:
            student: the model.
            inputs: that it has taken: images (B, C, H, W), or clips where its data preprocessor makes them.
            samples: of the batch.
            outputs: of its head's calls; none where the head has left the batch out, as one without labels.

        Returns:
            ``distil_loss_NAME`` -> a number.
        """
        if not outputs:
            return {name: inputs.new_zeros(()) for name in self._names()}
        images = images_of(inputs, student.data_preprocessor)
        canvas = images.shape[-2:]
        sizes = content_sizes(samples, canvas) if hasattr(samples[0], 'gt_sem_seg') else None
        if self._change is None:
            self._change = PixelChange(
                student.data_preprocessor, self.teacher.model.data_preprocessor, self.swap_colours
            )
        taught = self.teacher(self._change(images, sizes), samples, sizes)
        head = self.head(student)
        learned = pick_logits(outputs[-1], self.output, f'the student ({type(head).__name__})')
        check_classes(learned, taught)
        taught = resized(taught, learned.shape[2:])
        content = content_map(sizes, canvas, learned)
        values = (loss(learned, taught, content) for loss in self.losses)
        return dict(zip(self._names(), values, strict=True))

    def _names(self) -> list[str]:
        names: list[str] = []
        for loss in self.losses:
            count = sum(name.rstrip('0123456789') == f'distil_loss_{loss.name}' for name in names)
            names.append(f'distil_loss_{loss.name}{count + 1 if count else ""}')
        return names


class Distilled(Parent):
    """Mixin of a class that is made at run time: a host's model, its loss, and that of a :class:`Distillation`.

    The model keeps its parts, keys and modes. :func:`distil` and :func:`release` change its class and back.
    """

    distillation: Distillation

    def loss(self, inputs: Tensor, data_samples: Sequence, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Losses of the host, and the distance from the teacher; the student's head runs once."""
        with recording(self.distillation.head(self)) as outputs:
            losses = super().loss(inputs, data_samples, *args, **kwargs)
        return {**losses, **self.distillation(self, inputs, data_samples, outputs)}

    def __reduce_ex__(self, protocol: Any) -> tuple:
        """Copies say of which class the one made at run time consists."""
        _, _, *state = super().__reduce_ex__(max(protocol, 2))
        return new_instance, (type(self).__bases__[1],), *state


def distil(model: Any, distillation: Distillation) -> None:
    """Let a model learn from a teacher, too, from now on.

    Args:
        model: of a toolbox; its class is changed.
        distillation: its teacher and losses.

    Raises:
        DistillationError: if it has a teacher already.
    """
    if isinstance(model, Distilled):
        raise DistillationError(f'{type(model).__name__} has a teacher already; name one mmdas.DistillHook')
    model.distillation = distillation
    model.__class__ = distilled_class(type(model))  # type: ignore[arg-type]  # classes are hashable


def release(model: Any) -> None:
    """Make a model what it was before :func:`distil`; other models stay as they are."""
    if isinstance(model, Distilled):
        model.__class__ = type(model).__bases__[1]
        del model.distillation


@cache
def distilled_class(host: Any) -> type:
    """The class of students of a host's class."""
    return type(f'{host.__name__}WithTeacher', (Distilled, host), {'__module__': Distilled.__module__})


def new_instance(host: type) -> nn.Module:
    """A student without any state, as copies start from."""
    return nn.Module.__new__(distilled_class(host))


__all__ = ['Distillation', 'Distilled', 'distil', 'release']
