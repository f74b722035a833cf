"""Let a model learn from a teacher while it trains."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.runner import Runner
from torch import nn

from mmdas.engine.distillation import TeacherScore, cache_logits, fixed_view, load_teacher, settings_of
from mmdas.engine.distillation.fixed_view import fingerprint_of, pipeline_config
from mmdas.engine.utils import main_head, unwrap
from mmdas.models.distillation import (
    Distillation,
    DistillationError,
    Teacher,
    build_losses,
    description,
    distil,
    loss_configs,
    release,
)
from mmdas.registry import HOOKS, loaded

from .random_state_hook import kept_random_state
from .teacher_record_hook import TeacherRecordHook, views_in_words


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
        self.losses, self.views = loss_configs(losses, 'mmdas.DistillHook'), views
        self.output, self.swap_colours, self.has_score, self.cache = output, swap_colours, score, cache
        self.teachers: list[Teacher] = []
        self._score: Any = None

    def before_train(self, runner: Runner) -> None:
        """Load the teacher and hand it to the model.

        Raises:
            DistillationError: for a search, a model without a head that predicts, or a teacher of other classes.
            DifferenceError: if the run is resumed with another teacher or other losses.
        """
        model = unwrap(runner.model)
        place = head_place(model)
        if hasattr(runner.train_loop, 'schedule'):
            raise DistillationError('a search does not learn from a teacher; take mmdas.DistillHook out of its config')
        parts = build_losses(self.losses, 'mmdas.DistillHook')
        images = fixed_view(runner) if self.cache else None
        with kept_random_state():  # the start of the teacher's weights draws numbers
            frozen: list[Any] = [load_teacher(files['config'], files['checkpoint']) for files in self.teacher_files]
        for network in frozen:
            head_place(network, 'the teacher')
            check_order(network.dataset_meta, getattr(runner.train_dataloader.dataset, 'metainfo', {}))
        self.record = {
            'teacher': ' '.join(map(fingerprint, frozen)),
            'settings': ' '.join(settings_of(files['config']) for files in self.teacher_files),
            'views': self.views,
            'losses': [str(loss) for loss in self.losses],
            'outputs': [self.output, *(files.get('output') for files in self.teacher_files)],
            'swap_colours': self.swap_colours,
            'cache': 'none' if images is None else fingerprint_of(images, pipeline_config(runner)),
        }
        self.compare()
        self.teachers = [
            Teacher(network, self.views, files.get('output')).to(next(model.parameters()).device)
            for network, files in zip(frozen, self.teacher_files, strict=True)
        ]
        distillation = Distillation(self.teachers, parts, place, self.output, self.swap_colours)
        if images is not None:
            distillation.cached = cache_logits(runner, distillation, images, self._key(model.data_preprocessor))
        distil(model, distillation)
        self._score = TeacherScore(f'{self.record["teacher"]} {self.record["settings"]}')
        name = ' and '.join(str(files['checkpoint']) for files in self.teacher_files)
        kinds = ', '.join(map(description, parts))
        seen = ', once for all,' if self.cache else ''
        runner.logger.info(f'the model learns from {name} with {views_in_words(self.views)}{seen} by {kinds}')

    def _key(self, preprocessor: nn.Module) -> dict[str, Any]:
        """What decides the logits of the teachers for an image."""
        kept = {name: self.record[name] for name in ('teacher', 'settings', 'views', 'swap_colours', 'cache')}
        padding = [str(getattr(preprocessor, name, None)) for name in ('pad_size_divisor', 'pad_value')]
        return {**kept, 'outputs': self.record['outputs'][1:], 'padding': padding}

    def after_train(self, runner: Runner) -> None:
        """Make the model what it was."""
        release(unwrap(runner.model))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Put the teacher's score beside the student's."""
        if self.has_score and self.teachers and metrics is not None:
            for name, value in self._score(runner, self.teachers).items():  # beside what RuntimeInfoHook notes
                runner.message_hub.update_scalar(f'val/{name}', value)


def fingerprint(model: nn.Module) -> str:
    """Eight digits that tell the weights of a model from others."""
    check = 0
    for name, value in sorted(model.state_dict().items()):
        check = zlib.crc32(name.encode(), check)
        check = zlib.crc32(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy(), check)
    return f'{check:08x}'


def head_place(model: nn.Module, whose: str = 'the student') -> str:
    """Attribute of a model that is the head that predicts.

    Args:
        model: of a toolbox.
        whose: for messages.

    Raises:
        DistillationError: for a model without one, or of a kind whose logits are no softmax over classes.
    """
    host, head = main_head(model)
    if head is None:
        raise DistillationError(
            f'{type(model).__name__} has no head that mmdas.DistillHook could compare ({whose}); it goes with '
            'classifiers of MMPretrain and segmentors of MMSegmentation'
        )
    reason = no_distribution(head)
    if reason:
        raise DistillationError(
            f'{type(head).__name__} of {whose} {reason}; the losses of mmdas.DistillHook compare distributions over '
            'classes'
        )
    return host.heads[0]


def no_distribution(head: nn.Module) -> str | None:
    """Why the logits of a head are no softmax over its classes; None if they are, as far as it says."""
    reasons = {
        'MultiLabelClsHead': 'predicts labels that do not exclude each other',
        'RegressionHead': 'predicts numbers',
        'ArcFaceClsHead': 'lowers the logit of the label by a margin in training, and in a test it does not',
    }
    for name, reason in reasons.items():
        kind = loaded('mmpretrain.models.heads', name)
        if kind and isinstance(head, kind):
            return reason
    losses = getattr(head, 'loss_decode', None)
    by_sigmoid = any(getattr(loss, 'use_sigmoid', False) for loss in (losses.modules() if losses is not None else ()))
    if by_sigmoid and getattr(head, 'out_channels', 1) > 1:
        return 'predicts its classes by sigmoids (use_sigmoid of loss_decode), so that they do not exclude each other'
    return None


def check_order(teacher: Mapping[str, Any], student: Mapping[str, Any]) -> None:
    """Check that a teacher has not learned the classes of its student in another order.

    Args:
        teacher, student: what their data sets say of themselves; where one has no ``classes`` nothing is compared.

    Raises:
        DistillationError: naming the first class that stands elsewhere.
    """
    pairs = [[str(name) for name in meta.get('classes') or ()] for meta in (teacher, student)]
    theirs, ours = pairs
    if theirs == ours or sorted(theirs) != sorted(ours):
        return
    place = next(index for index, (one, other) in enumerate(zip(theirs, ours, strict=True)) if one != other)
    raise DistillationError(
        f'class {place} of the teacher is {theirs[place]!r}, of the student {ours[place]!r}: the same classes '
        'in another order; give the training set of the student the order of the teacher (classes of its metainfo)'
    )
