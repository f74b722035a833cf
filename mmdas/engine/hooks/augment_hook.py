"""Augments that need the model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.engine.data_error import DataError
from mmdas.engine.utils import main_head, unwrap
from mmdas.models.settings import DifferenceError
from mmdas.registry import HOOKS

KEY = 'augments'


@HOOKS.register_module()
class AugmentHook(Hook):
    """Tell the augments of the data preprocessor which model learns from their batches, before the training.

    The tools add it to every run whose data preprocessor has ``augments``. It also sees that the label which they write
    where no pixel comes to is one that does not count. What an augment learns is saved with each checkpoint, beside the
    weights of the model, and comes back on resume.

    Raises:
        DataError: if it counts.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def before_train(self, runner: Runner) -> None:
        """Hand over the model, then what the augments had learned.

        Raises:
            DataError: if one does not go with the model or its settings.
            DifferenceError: if the checkpoint of a run that resumes does not hold what they had learned.
        """
        model = unwrap(runner.model)
        check_ignored_labels(model)
        augments = model.data_preprocessor.augments
        with raised_as(DataError):
            augments.use_model(model)
        if self._loaded is not None:
            with raised_as(DifferenceError):
                augments.load_state_dict(self._loaded)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what the augments have learned, if anything."""
        states = unwrap(runner.model).data_preprocessor.augments.state_dict()
        if states:
            checkpoint[KEY] = states

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember what the augments of a run that is resumed had learned."""
        self._loaded = (checkpoint.get(KEY) or {}) if runner.cfg.get('resume') else None


@contextmanager
def raised_as(kind: type[ValueError]) -> Iterator[None]:
    """Raise the errors of augments, which know no toolbox, as one that commands tell in a line."""
    try:
        yield
    except ValueError as error:
        raise kind(str(error)) from error


def check_ignored_labels(model: Any) -> None:
    """Check that the label which augments write is one that the head's loss leaves out.

    Raises:
        DataError: naming the step of ``augments`` and both labels.
    """
    host, head = main_head(model)
    ignored = getattr(head, 'ignore_index', None)
    if not host.label_maps or ignored is None:
        return
    for place, step in enumerate(model.data_preprocessor.augments.steps):
        written = getattr(step, 'ignore_index', ignored)
        if written != ignored:
            raise DataError(
                f'data_preprocessor.augments.{place} ({type(step).__name__}) gives the label {written} to places that '
                f'no pixel comes to, but {host.heads[0]}.ignore_index is {ignored}; set '
                f'data_preprocessor.augments.{place}.ignore_index={ignored}'
            )
