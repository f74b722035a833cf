"""Selection by perturbation (DARTS-PT, Wang et al., ICLR 2021, Sec. 4)."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch

from mmdas.registry import TASK_UTILS
from mmdas.search.das import DASCell
from mmdas.search.das.topology import incoming

from .base_selection import BaseSelection, Decision, Score


@TASK_UTILS.register_module()
class PerturbationSelection(BaseSelection):
    """Keep what hurts most when it is taken away.

    In random order of the edges, every operation of an edge is removed once; the edge keeps the one whose removal
    leaves the worst score. Then every node with too many incoming edges keeps those whose removal hurts most.

    Args:
        num_batches: see :class:`BaseSelection`.
        tune: see :class:`BaseSelection`.
        edges_per_node: see :class:`BaseSelection`.
        seed: of the order of the edges.
        renormalize: in a trial the weights of the other operations sum to one again. Without it, as in DARTS-PT, a
            trial also dims the image by the weight of what is removed. No normalisation follows an edge as it does in
            the networks of DARTS, and where a dimmer frame lowers the loss, the edge keeps the operation of the
            smallest weight, which the search wants least.
    """

    def __init__(
        self,
        num_batches: int = 8,
        tune: int = 0,
        edges_per_node: int = 2,
        seed: int = 0,
        renormalize: bool = True,
    ) -> None:
        super().__init__(num_batches, tune, edges_per_node)
        if num_batches < 1:
            raise ValueError(
                f'selection by perturbation evaluates on at least one batch, got num_batches={num_batches}'
            )
        self.seed = seed
        self.renormalize = renormalize

    def decisions(self, cell: DASCell) -> list[Decision]:
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(cell.edges), generator=generator).tolist()
        operations = [Decision('operation', edge, len(cell.operations)) for edge in order]
        degrees = {target: len(incoming(cell.edges, target)) for _, target in cell.edges}
        edges = [Decision('edges', node, degree) for node, degree in degrees.items() if degree > self.edges_per_node]
        return operations + edges

    def decide(self, cell: DASCell, decision: Decision, evaluate: Callable[[], Score]) -> dict[str, float]:
        if decision.kind == 'operation':
            columns = range(len(cell.operations))
            without = [cell.without_operation(decision.index, column, self.renormalize) for column in columns]
            scores = self._trials(without, evaluate)
            worst = min(range(len(scores)), key=scores.__getitem__)
            cell.choose(decision.index, worst)
            return self._log(scores, scores[worst])
        edges = incoming(cell.edges, decision.index)
        scores = self._trials([cell.without_edge(edge) for edge in edges], evaluate)
        ranked = sorted(range(len(edges)), key=scores.__getitem__)
        cell.keep_edges(decision.index, [edges[rank] for rank in ranked[: self.edges_per_node]])
        return self._log(scores, scores[ranked[0]])

    @staticmethod
    def _trials(removals: Sequence[AbstractContextManager], evaluate: Callable[[], Score]) -> list[Score]:
        scores = []
        for removal in removals:
            with removal:
                scores.append(evaluate())
        return scores

    @staticmethod
    def _log(scores: list[Score], worst: Score) -> dict[str, float]:
        """Spread of the trials: how clearly the selection could tell the candidates apart."""
        best = max(scores)
        return {
            'selection_quality_spread': best.quality - worst.quality,
            'selection_loss_spread': best.negative_loss - worst.negative_loss,
        }


@TASK_UTILS.register_module()
class BlankSelection(PerturbationSelection):
    """Ablation: selection by perturbation of a cell whose logits were never trained."""

    trains_policy = False
