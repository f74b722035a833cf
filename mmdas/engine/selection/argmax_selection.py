"""Selection by the largest mixture weight, as in DARTS (Liu et al., ICLR 2019)."""

from collections.abc import Callable

from mmdas.registry import TASK_UTILS
from mmdas.search.das import DASCell

from .base_selection import BaseSelection, Decision, Score


@TASK_UTILS.register_module()
class ArgmaxSelection(BaseSelection):
    """Every edge keeps its operation of the largest logit, every node the edges of the largest mixture weights.

    Args:
        tune: see :class:`BaseSelection`.
        edges_per_node: see :class:`BaseSelection`.
    """

    def __init__(self, tune: int = 0, edges_per_node: int = 2) -> None:
        super().__init__(0, tune, edges_per_node)

    def decisions(self, cell: DASCell) -> list[Decision]:
        return [Decision('all', 0, 0)]

    def decide(self, cell: DASCell, decision: Decision, evaluate: Callable[[], Score]) -> dict[str, float]:
        weights, kept = cell.weights().detach(), cell.strongest_edges(self.edges_per_node)
        for edge, operation in enumerate(weights.argmax(dim=1).tolist()):
            cell.choose(edge, operation)
        for node, edges in kept.items():
            cell.keep_edges(node, edges)
        return {'selection_mean_weight': weights.amax(dim=1).mean().item()}
