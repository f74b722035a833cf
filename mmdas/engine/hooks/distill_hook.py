"""Let a model learn from a teacher while it trains."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner
from torch import nn

from mmdas.engine.distillation import TeacherScore, cache_logits, fixed_view, load_teacher
from mmdas.engine.distillation.fixed_view import fingerprint_of
from mmdas.engine.utils import main_head, unwrap
from mmdas.models.distillation import Distillation, DistillationError, Teacher, distil, release
from mmdas.registry import HOOKS, MODELS, loaded

from .random_state_hook import kept_random_state
from .teacher_record_hook import TeacherRecordHook


@HOOKS.register_module()
class DistillHook(TeacherRecordHook):
    """Add the distance from a frozen teacher to the loss of any model of either toolbox.

    The model has a teacher from the beginning of the training to its end. Its parts, its keys and its config stay those
    of a training without one, so that its checkpoints are ordinary ones. The teacher gets the images that the data
    preprocessor of the student has augmented, normalised as it needs them. It is in no optimiser, average or
    checkpoint. In each validation its score stands beside the student's.

    Args:
        teacher: ``dict(config=FILE, checkpoint=FILE)``, of a plain model or one of DAS with any T, whose config says
            all of its model, as work directories keep it; with ``output`` for the place of its logits, where its head
            returns several tensors. Of a list of them the mean of the logits counts.
        losses: configs of the losses. Default: ``[dict(type='mmdas.KLDistillation')]``.
        views: of each teacher in training, 1 or 2 (the image and its mirror image). Default: 1.
        output: place of the logits where the student's head returns several tensors in training. Default: the only
            one.
        swap_colours: whether the teacher's network takes colours in the other order. Default: not, if both data
            preprocessors convert alike; otherwise it has to be given.
        score: whether the validations tell the teacher's score. Default: True.
        cache: whether the teacher sees each image of the training set once, as a test sees it, and not what a step
            makes of it; for classification. Its logits are kept in ``teacher_logits.pt`` of the work directory, and a
            step costs what it costs without a teacher. Default: False.

    Raises:
        DistillationError: for unknown keys of ``teacher``, or as the parts say.
    """

    priority = 'NORMAL'  # before the loggers, so that they tell the teacher's score

    def __init__(
        self,
        teacher: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        losses: Sequence[Mapping[str, Any]] = ({'type': 'mmdas.KLDistillation'},),
        views: int = 1,
        output: int | None = None,
        swap_colours: bool | None = None,
        score: bool = True,
        cache: bool = False,
    ) -> None:
        super().__init__()
        self.teacher_files = [dict(files) for files in ([teacher] if isinstance(teacher, Mapping) else teacher)]
        for files in self.teacher_files or [{}]:
            unknown = set(files) - {'config', 'checkpoint', 'output'}
            if unknown or not {'config', 'checkpoint'} <= set(files):
                raise DistillationError(
                    f'teacher of mmdas.DistillHook is {files}, expected dict(config=FILE, checkpoint=FILE)'
                )
        self.losses, self.views = [dict(loss) for loss in losses], views
        self.output, self.swap_colours, self.has_score, self.cache = output, swap_colours, score, cache
        self.teachers: list[Teacher] = []
        self._score: Any = None

    def before_train(self, runner: Runner) -> None:
        """Load the teacher and hand it to the model.

        Raises:
            DistillationError: for a search, or a model without a head that predicts.
            DifferenceError: if the run is resumed with another teacher or other losses.
        """
        model = unwrap(runner.model)
        place = head_place(model)
        if hasattr(runner.train_loop, 'schedule'):
            raise DistillationError('a search does not learn from a teacher; take mmdas.DistillHook out of its config')
        images = fixed_view(runner) if self.cache else None
        with kept_random_state():  # the start of the teacher's weights draws numbers
            frozen = [load_teacher(files['config'], files['checkpoint']) for files in self.teacher_files]
        self.record = {
            'teacher': ' '.join(map(fingerprint, frozen)),
            'views': self.views,
            'losses': [str(loss) for loss in self.losses],
            'cache': 'none' if images is None else fingerprint_of(images),
        }
        self.compare()
        self.teachers = [
            Teacher(network, self.views, files.get('output')).to(next(model.parameters()).device)
            for network, files in zip(frozen, self.teacher_files, strict=True)
        ]
        parts = [MODELS.build(loss) for loss in self.losses]
        distillation = Distillation(self.teachers, parts, place, self.output, self.swap_colours)
        if images is not None:
            distillation.cached = cache_logits(runner, distillation, images, self._key())
        distil(model, distillation)
        self._score = TeacherScore(self.record['teacher'])
        name = ' and '.join(Path(files['config']).name for files in self.teacher_files)
        kinds = ', '.join(f'{type(loss).__name__}({loss.extra_repr()})' for loss in parts)
        seen = ', once for all,' if self.cache else ''
        runner.logger.info(f'the model learns from {name} with {self.views} views an image{seen} by {kinds}')

    def _key(self) -> dict[str, Any]:
        """What decides the logits of the teachers for an image."""
        outputs = [files.get('output') for files in self.teacher_files]
        kept = {name: self.record[name] for name in ('teacher', 'views', 'cache')}
        return {**kept, 'outputs': outputs, 'swap_colours': self.swap_colours}

    def after_train(self, runner: Runner) -> None:
        """Make the model what it was."""
        release(unwrap(runner.model))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Put the teacher's score beside the student's."""
        if self.has_score and self.teachers and metrics is not None:
            for name, value in self._score(runner, self.teachers).items():  # beside what RuntimeInfoHook notes
                runner.message_hub.update_scalar(f'val/{name}', value)


def fingerprint(model: nn.Module) -> str:
    """Eight digits that tell the weights and settings of a model from others."""
    check = 0
    for name, value in sorted(model.state_dict().items()):
        check = zlib.crc32(name.encode(), check)
        check = zlib.crc32(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy(), check)
    return f'{check:08x}'


def head_place(model: nn.Module) -> str:
    """Attribute of a model that is the head that predicts.

    Raises:
        DistillationError: for a model without one, or of a kind whose logits are no softmax over classes.
    """
    host, head = main_head(model)
    independent = loaded('mmpretrain.models.heads', 'MultiLabelClsHead')
    if independent and isinstance(head, independent):
        raise DistillationError(
            f'{type(head).__name__} predicts labels that do not exclude each other; the losses of mmdas.DistillHook '
            'compare distributions over classes'
        )
    if head is None:
        raise DistillationError(
            f'{type(model).__name__} has no head that mmdas.DistillHook could compare with a teacher; it goes with '
            'classifiers of MMPretrain and segmentors of MMSegmentation'
        )
    return host.heads[0]
