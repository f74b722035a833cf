"""Let the image alone learn from the whole clip while a model trains."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.runner import Runner

from mmdas.engine.utils import unwrap
from mmdas.models.data_preprocessors import ImageToClip
from mmdas.models.distillation import (
    DistillationError,
    SelfDistillation,
    build_losses,
    loss_configs,
    release_from_itself,
    teach_itself,
)
from mmdas.registry import HOOKS

from .distill_hook import head_place
from .teacher_record_hook import TeacherRecordHook


@HOOKS.register_module()
class SelfDistillHook(TeacherRecordHook):
    """Let a model of DAS with few frames learn from what it predicts with all, in one training.

    It is for models that take any number of frames (``any_frames=True`` of backbone and heads). Each batch runs twice:
    with all T frames, which learn from the labels, and with fewer, drawn from ``frame_dropout`` of the data
    preprocessor, which learn from the predictions of all. These are the sandwich rule and in-place distillation of
    slimmable networks (Yu and Huang, ICCV 2019, Sec. 3.1 and 3.2), with frames in place of channels and without the
    passes in between.

    Args:
        losses: configs of the losses, of logits. Default: ``[dict(type='mmdas.KLDistillation')]``.
        output: place of the logits where the head returns several tensors in training. Default: the only one.

    Raises:
        DistillationError: for a search, or a model that does not take fewer frames.
        DifferenceError: if the run is resumed with other losses or another teacher.
    """

    priority = 'NORMAL'

    def __init__(
        self, losses: Sequence[Mapping[str, Any]] = ({'type': 'mmdas.KLDistillation'},), output: int | None = None
    ) -> None:
        super().__init__()
        self.losses, self.output = loss_configs(losses, 'mmdas.SelfDistillHook'), output
        self._choices: tuple[int, ...] = ()

    def before_train(self, runner: Runner) -> None:
        """Hand the losses to the model."""
        model = unwrap(runner.model)
        if hasattr(runner.train_loop, 'schedule'):
            raise DistillationError('a search has no frames to spare; take mmdas.SelfDistillHook out of its config')
        preprocessor = model.data_preprocessor
        self._choices = preprocessor.frame_dropout if isinstance(preprocessor, ImageToClip) else ()
        fewer = [frames for frames in self._choices if frames < preprocessor.num_frames]
        if not fewer:
            raise DistillationError(
                'mmdas.SelfDistillHook (--self-distill) is for a model that takes fewer frames than T; train with '
                '--das POLICY.json --any-frames, or give frame_dropout of the data preprocessor, such as (1, 2, 4)'
            )
        parts = build_losses(self.losses, 'mmdas.SelfDistillHook')
        self.record = {
            'teacher': 'itself, with all frames',
            'losses': [str(loss) for loss in self.losses],
            'outputs': [self.output],
        }
        self.compare()
        teach_itself(model, SelfDistillation(parts, head_place(model), fewer, self.output))
        runner.logger.info(f'{" or ".join(map(str, fewer))} frames learn from all {preprocessor.num_frames} of them')

    def after_train(self, runner: Runner) -> None:
        """Make the model what it was."""
        release_from_itself(unwrap(runner.model), self._choices)
