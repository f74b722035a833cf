"""Validation in the middle of a training or search that can be resumed."""

from typing import Any

from mmengine.runner import Runner

from mmdas.engine.hooks.random_state_hook import RandomStateHook
from mmdas.engine.hooks.run_record_hook import RunRecordHook


class Validating:
    """What loops share that validate now and then; a mixin.

    * A validation leaves the random state alone, and so do checkpoints that are written in it (``save_best``).
    * MMEngine writes the checkpoint of an iteration before its validation. A run that was interrupted in between
      makes up for the validation: learning rates, early stopping and ``save_best`` may depend on it.
    """

    runner: Runner
    val_begin: int
    val_interval: int
    _iter: int
    _random_state: RandomStateHook
    _record: RunRecordHook
    _validated_at: int | None = None  # iteration of the last validation

    def is_validated(self, meta: dict) -> bool:
        """Whether the validation that is due at a checkpoint, if one is, has taken place.

        Args:
            meta: of the checkpoint.
        """
        return meta['iter'] == self._validated_at

    def abandon_validation(self) -> None:
        """Let checkpoints from now on say that the validation has not taken place."""
        self._validated_at = None

    def _validate(self, done: int, last: int) -> None:
        """Validate where it is due.

        Args:
            done: iterations or epochs.
            last: of the whole run.
        """
        due = done >= self.val_begin and (done % self.val_interval == 0 or done == last)
        val_loop: Any = self.runner.val_loop
        if val_loop is None or not due:
            return
        self._validated_at = self._iter
        with self._random_state.kept():
            val_loop.run()

    def _make_up_for_validation(self, done: int, last: int) -> None:
        """The same in a run that resumes, unless the checkpoint knows of it, or says nothing about it."""
        if self._record.validated is False:
            self._validate(done, last)
