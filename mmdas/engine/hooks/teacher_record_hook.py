"""What a checkpoint says of the teacher that its model learns from."""

import ast
from collections.abc import Sequence
from typing import Any, ClassVar

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.models.distillation import build_losses, description
from mmdas.models.settings import DifferenceError

from .resume_check_hook import TEACHER


class TeacherRecordHook(Hook):
    """Base of a hook by which a model learns from a teacher: a run is resumed with the same teacher and losses.

    Attributes:
        record: what tells teacher and losses from others; empty before the training.
    """

    is_teacher: ClassVar[bool] = True

    def __init__(self) -> None:
        self.record: dict[str, Any] = {}
        self._loaded: Any = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note from which teacher the model learns."""
        if self.record:
            checkpoint[TEACHER] = dict(self.record)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the teacher of a run that is resumed."""
        self._loaded = (checkpoint.get(TEACHER) or {}) if runner.cfg.get('resume') else None

    def compare(self) -> None:
        """Compare the record with that of the run that is resumed.

        Defaults may be given or not. What the record of an earlier version does not have is not compared.

        Raises:
            DifferenceError: naming what differs.
        """
        if self._loaded is None:
            return
        found = [
            f'{key} is {value} and was {self._loaded.get(key, "none")}'
            for key, value in self.record.items()
            if (key in self._loaded or not self._loaded) and comparable(self._loaded.get(key)) != comparable(value)
        ]
        if found:
            raise DifferenceError(
                f'cannot resume: {"; ".join(found)} (mmdas.{type(self).__name__}). Give the teacher and the losses of '
                'its run, another --work-dir to begin anew, or start from its weights by '
                '--cfg-options load_from=CHECKPOINT'
            )


def comparable(value: Any) -> Any:
    """An entry of a record; of losses their settings with all defaults."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        return value
    try:
        return [description(loss) for loss in build_losses([ast.literal_eval(one) for one in value], 'the record')]
    except (ValueError, SyntaxError):  # types as classes, or losses of another version
        return value


def views_in_words(views: int) -> str:
    """How many views of an image a teacher has."""
    return '1 view of an image' if views == 1 else f'{views} views of an image'
