"""Whether what a search would decide has settled, with its state in checkpoints."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdas.search.das import DASCell

KEY = 'settling'


class SettlingHook(Hook):
    """Tell when the policy of the largest weights has stayed the same for long.

    The search loop registers it, asks :meth:`has_settled` after each step of the policy, and calls :meth:`restore`
    itself, as for the random state.

    Args:
        patience: steps of the policy without a change; None never settles.
        edges_per_node: of the selection.
    """

    def __init__(self, patience: int | None, edges_per_node: int = 2) -> None:
        self.patience, self.edges_per_node = patience, edges_per_node
        self.leading: dict[int, int] | None = None  # position of an edge -> operation
        self.unchanged = 0  # steps of the policy
        self.ended_at: int | None = None  # iterations that were done when the policy phase ended
        self._loaded: dict[str, Any] | None = None

    def has_settled(self, cell: DASCell) -> bool:
        """Look at a cell after a step of its policy; whether ``patience`` steps have changed nothing."""
        if self.patience is None:
            return False
        leading = cell.leading(self.edges_per_node)
        self.unchanged = self.unchanged + 1 if leading == self.leading else 0
        self.leading = leading
        return self.unchanged >= self.patience

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state of a search that may settle, or has."""
        if self.patience is not None or self.ended_at is not None:
            leading = None if self.leading is None else [list(pair) for pair in self.leading.items()]
            checkpoint[KEY] = {'leading': leading, 'unchanged': self.unchanged, 'ended_at': self.ended_at}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the state until :meth:`restore`."""
        self._loaded = checkpoint.get(KEY)

    def restore(self) -> None:
        """Take up the state of the loaded checkpoint; an end of the policy phase stays, whatever the patience now."""
        if self._loaded is not None:
            leading = self._loaded['leading']
            self.leading = None if leading is None else dict(leading)
            self.unchanged, self.ended_at = self._loaded['unchanged'], self._loaded['ended_at']
