"""What a selection is: the choices that turn a relaxed cell into a policy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from mmdas.search import Searchable
from mmdas.search.das import DASCell


@dataclass(frozen=True)
class Decision:
    """One choice of the discretisation.

    Args:
        kind: ``'operation'`` (of the edge ``index``), ``'edges'`` (incoming ones of the node ``index``) or ``'all'``.
        index: position of the edge or number of the node.
        trials: evaluations that the choice needs.
    """

    kind: str
    index: int
    trials: int


class Score(NamedTuple):
    """Quality of a model on the held-out batches; a higher one is better and the loss breaks ties."""

    quality: float
    negative_loss: float


class BaseSelection:
    """Decides the operations and edges of a cell, one decision after the other.

    Args:
        num_batches: batches of the policy part on which the trials of a decision are evaluated, the same for all.
        tune: rounds of weight training after each decision, in epochs or iterations as the search loop counts.
        edges_per_node: incoming edges that a node keeps.
    """

    trains_policy = True  # whether the logits are trained at all before the selection

    def __init__(self, num_batches: int = 0, tune: int = 0, edges_per_node: int = 2) -> None:
        if num_batches < 0 or tune < 0 or edges_per_node < 1:
            raise ValueError(
                'a selection needs num_batches >= 0, tune >= 0 and edges_per_node >= 1, got '
                f'{num_batches}, {tune} and {edges_per_node}'
            )
        self.num_batches = num_batches
        self.tune = tune
        self.edges_per_node = edges_per_node

    def check_searchable(self, searchable: Searchable) -> None:
        """Refuse what is no cell of DAS, since its policy needs no decisions about edges.

        Raises:
            ValueError: naming both.
        """
        if not isinstance(searchable, DASCell):
            raise ValueError(
                f'train_cfg.selection is {type(self).__name__}, which decides the edges of a DASCell, but the model '
                f'searches a {type(searchable).__name__}; set train_cfg.selection=None'
            )

    def check_model(self, model: nn.Module) -> None:
        """Refuse sums of warps where the predictions of the frames are to be aligned.

        Raises:
            ValueError: for more than one edge a node and aligned pooling.
        """
        poolings = (getattr(module, 'temporal_pooling', None) for module in model.modules())
        if self.edges_per_node > 1 and any(getattr(pooling, 'aligns', False) for pooling in poolings):
            raise ValueError(
                f'pooling is aligned, but the selection keeps {self.edges_per_node} edges a node, so that '
                'frames of the policy would be sums of warps; set edges_per_node=1 of train_cfg.selection'
            )

    def decisions(self, cell: DASCell) -> list[Decision]:
        """All decisions in their order."""
        raise NotImplementedError

    def decide(self, cell: DASCell, decision: Decision, evaluate: Callable[[], Score]) -> dict[str, float]:
        """Make one decision in place and return numbers for the log.

        Args:
            cell: the relaxed cell.
            decision: one of :meth:`decisions`.
            evaluate: score of the model as the cell stands, on the batches of this decision.
        """
        raise NotImplementedError
