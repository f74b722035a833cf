"""The weights of the operations on the edges of a cell."""

import torch
from torch import Tensor, nn

from .decisions import Decisions
from .topology import incoming, needed_nodes

RELAXATIONS = ('softmax', 'gumbel')


class Mixture(Decisions):
    """Base of a cell whose edges are mixtures of operations, until they are decided.

    Attributes:
        logits: (edges, operations), what the search trains.
        relaxation: ``'softmax'`` or ``'gumbel'``, see :class:`mmdas.search.das.DASCell`.
    """

    logits: nn.Parameter
    relaxation: str

    def _init_mixture(self, relaxation: str, generator: torch.Generator) -> None:
        if relaxation not in RELAXATIONS:
            raise ValueError(f'relaxation must be one of {RELAXATIONS}, got {relaxation!r}')
        self.relaxation = relaxation
        self.logits = nn.Parameter(1e-3 * torch.randn(len(self.edges), len(self.operations), generator=generator))
        self._last_draw = LastDraw()

    def weights(self) -> Tensor:
        """Weights of all edges, (edges, operations): the softmax, or one-hot where an operation is chosen."""
        one_hot = nn.functional.one_hot(self.chosen.clamp(min=0), len(self.operations)).to(self.logits.dtype)
        if self._removed_operation is None:
            return torch.where(self.chosen[:, None] < 0, self.logits.softmax(dim=1), one_hot)
        removed = torch.zeros_like(self.logits, dtype=torch.bool)
        removed[self._removed_operation] = True
        logits = self.logits.masked_fill(removed, float('-inf')) if self._renormalize else self.logits
        return torch.where(self.chosen[:, None] < 0, logits.softmax(dim=1), one_hot).masked_fill(removed, 0)

    def pass_weights(self) -> Tensor:
        """Weights of one pass, (edges, operations): those of the mixture, or of one drawn operation per edge."""
        if not self._draws():
            return self.weights()
        drawn = nn.functional.gumbel_softmax(self.logits, hard=True)
        self._last_draw.weights = torch.where(self.chosen[:, None] < 0, drawn, self.weights())
        return self._last_draw.weights

    def last_weights(self) -> Tensor:
        """The weights of the last pass, (edges, operations)."""
        drawn = self._last_draw.weights if self._draws() else None
        return self.weights() if drawn is None else drawn

    def _draws(self) -> bool:
        return self.relaxation == 'gumbel' and self.training and not self.in_trial

    def strongest_edges(self, edges_per_node: int) -> dict[int, list[int]]:
        """Node -> positions of those of its incoming edges whose largest weights are largest, the strongest first."""
        strength = self.weights().detach().amax(dim=1).tolist()
        nodes = sorted({target for _, target in self.edges})
        ranked = {node: sorted(incoming(self.edges, node), key=lambda edge: -strength[edge]) for node in nodes}
        return {node: positions[:edges_per_node] for node, positions in ranked.items()}

    def leading(self, edges_per_node: int) -> dict[int, int]:
        """The policy of the largest weights: position -> operation of each edge that its clip depends on."""
        kept = [position for positions in self.strongest_edges(edges_per_node).values() for position in positions]
        needed = needed_nodes([self.edges[position] for position in kept], max(target for _, target in self.edges))
        operations = self.weights().detach().argmax(dim=1).tolist()
        return {position: operations[position] for position in sorted(kept) if self.edges[position][1] in needed}

    def entropy(self) -> Tensor:
        """Entropy of the mixture of each edge in nats, (edges,); 0 where an operation is chosen."""
        return torch.distributions.Categorical(probs=self.weights().detach()).entropy()


class LastDraw:
    """The weights that the last pass has drawn. A copy of it, as of a copied cell, starts empty."""

    weights: Tensor | None = None

    def __reduce__(self) -> tuple:
        return LastDraw, ()
