"""The state of a search step in checkpoints."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.engine.steps import SearchStep

KEY = 'search_step'


class StepStateHook(Hook):
    """Save the state of a search step with each checkpoint and hand it back on resume.

    The search loop registers it and calls :meth:`restore` itself, as for the random state. A step without a state adds
    nothing to a checkpoint.

    Args:
        step: whose state it is.
    """

    def __init__(self, step: SearchStep) -> None:
        self.step = step
        self._loaded: dict[str, Any] = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state."""
        state = self.step.state_dict()
        if state:
            checkpoint[KEY] = {'type': type(self.step).__name__, 'state': state}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the state until :meth:`restore`."""
        self._loaded = checkpoint.get(KEY, {})

    def restore(self) -> None:
        """Set the step to the state of the loaded checkpoint.

        Raises:
            ValueError: if the checkpoint is of a search with another step, whose state is not this one's.
        """
        expected = type(self.step).__name__ if self.step.state_dict() else None
        found = self._loaded.get('type')
        if found != expected:
            raise ValueError(
                f'the checkpoint holds the state of {found or "no search step"}, but train_cfg.step is a '
                f'{type(self.step).__name__}; resume with the step that the search began with'
            )
        if expected:
            self.step.load_state_dict(self._loaded['state'])
