"""Let a model learn from the average of its own weights while it trains."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from mmdas.engine.utils import unwrap
from mmdas.models.distillation import (
    Distillation,
    DistillationError,
    Teacher,
    build_losses,
    distil,
    loss_configs,
    release,
)
from mmdas.registry import HOOKS

from .distill_hook import head_place
from .teacher_record_hook import TeacherRecordHook, views_in_words


@HOOKS.register_module()
class MeanTeacherHook(TeacherRecordHook):
    """Add the distance from the average of a model's own weights to its loss (Tarvainen and Valpola, NeurIPS 2017).

    Teacher and student are of one training: the teacher is the average that the ``EMAHook`` of the run keeps, in
    evaluation mode and without gradients. It gets the images that the student gets. The paper learns from images
    without labels so; here all have labels, and the weight does not ramp up. The average is in the checkpoints
    already, so that nothing is added to them.

    Args:
        losses: configs of the losses. Default: ``[dict(type='mmdas.KLDistillation')]``.
        views: of the teacher, 1 or 2 (the image and its mirror image). Default: 1.
        output: place of the logits where the head returns several tensors in training. Default: the only one.

    Raises:
        DistillationError: for a search, a run without ``EMAHook``, or as the parts say.
        DifferenceError: if the run is resumed with other losses or another teacher.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        losses: Sequence[Mapping[str, Any]] = ({'type': 'mmdas.KLDistillation'},),
        views: int = 1,
        output: int | None = None,
    ) -> None:
        super().__init__()
        self.losses, self.views, self.output = loss_configs(losses, 'mmdas.MeanTeacherHook'), views, output

    def before_train(self, runner: Runner) -> None:
        """Hand the average to the model as its teacher."""
        model = unwrap(runner.model)
        if hasattr(runner.train_loop, 'schedule'):
            raise DistillationError('a search does not learn from an average; take mmdas.MeanTeacherHook out')
        average = next((hook for hook in runner.hooks if isinstance(hook, EMAHook)), None)
        if average is None:
            raise DistillationError(
                'mmdas.MeanTeacherHook learns from the average of the weights, and this run keeps none; add '
                "dict(type='EMAHook', ema_type='MomentumAnnealingEMA', gamma=8, update_buffers=True) to custom_hooks"
            )
        parts = build_losses(self.losses, 'mmdas.MeanTeacherHook')
        self.record = {
            'teacher': 'the average of its weights',
            'views': self.views,
            'losses': [str(loss) for loss in self.losses],
            'outputs': [self.output],
        }
        self.compare()
        teacher = Teacher(average.ema_model.module, self.views)
        distil(model, Distillation([teacher], parts, head_place(model), self.output))
        runner.logger.info(f'the model learns from the average of its weights with {views_in_words(self.views)}')

    def after_train(self, runner: Runner) -> None:
        """Make the model what it was."""
        release(unwrap(runner.model))
