"""What a search has decided: the operation of an edge, and the edges of a node."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .fast.host_copy import HostCopy
from .operation import Operation
from .topology import Edge, incoming


class Decisions(nn.Module):
    """Base of a cell that is decided edge by edge.

    :meth:`choose` makes the mixture of an edge one-hot, :meth:`keep_edges` prunes a node. Both are buffers, so that a
    checkpoint holds them. A trial takes an operation or an edge out for a while.
    """

    edges: tuple[Edge, ...]
    operations: tuple[Operation, ...]
    chosen: Tensor
    kept: Tensor

    def _init_decisions(self) -> None:
        self.register_buffer('chosen', torch.full((len(self.edges),), -1, dtype=torch.long))
        self.register_buffer('kept', torch.ones(len(self.edges), dtype=torch.bool))
        self._removed_operation: tuple[int, int] | None = None
        self._renormalize = False
        self._removed_edge: int | None = None
        self._chosen, self._kept = HostCopy(), HostCopy()

    def train(self, mode: bool = True) -> 'Decisions':
        """Set the mode, and read the decisions again: averaged weights are swapped where the mode changes."""
        if mode != self.training:
            self._chosen, self._kept = HostCopy(), HostCopy()
        return super().train(mode)

    @torch.no_grad()
    def choose(self, edge: int, operation: int) -> None:
        """Make the mixture of an edge one-hot on an operation.

        Raises:
            IndexError: if there is no such edge or operation.
        """
        self._check_position(edge, operation)
        self.chosen[edge] = operation

    @torch.no_grad()
    def keep_edges(self, target: int, edges: Sequence[int]) -> None:
        """Keep of the edges that end in ``target`` only those at the positions ``edges``.

        Raises:
            ValueError: if ``edges`` is empty or holds an edge that does not end in ``target``.
        """
        candidates = incoming(self.edges, target)
        if not edges or not set(edges) <= set(candidates):
            raise ValueError(f'node {target} keeps one or more of its edges {candidates}, got {list(edges)}')
        for position in candidates:
            self.kept[position] = position in edges

    @contextmanager
    def without_operation(self, edge: int, operation: int, renormalize: bool = False) -> Iterator[None]:
        """Take one operation out of an edge's mixture for a trial.

        Args:
            edge: position of the edge.
            operation: position of the operation.
            renormalize: the weights of the others sum to one again. Without it the edge's image is dimmed.

        Raises:
            IndexError: if there is no such edge or operation.
        """
        self._check_position(edge, operation)
        self._removed_operation, self._renormalize = (edge, operation), renormalize
        try:
            yield
        finally:
            self._removed_operation = None

    @contextmanager
    def without_edge(self, edge: int) -> Iterator[None]:
        """Take one edge out of the cell for a trial.

        Raises:
            IndexError: if there is no such edge.
        """
        self._check_position(edge)
        self._removed_edge = edge
        try:
            yield
        finally:
            self._removed_edge = None

    @property
    def in_trial(self) -> bool:
        """Whether something is taken out at the moment."""
        return self._removed_operation is not None or self._removed_edge is not None

    def present_edges(self) -> list[int]:
        """Positions of the edges that neither a decision nor a trial has taken out."""
        kept = self._kept.read(self.kept)
        return [position for position, keep in enumerate(kept) if keep and position != self._removed_edge]

    def present_operations(self, edge: int) -> list[int]:
        """Positions of the operations of an edge that neither a decision nor a trial has taken out."""
        chosen = self._chosen.read(self.chosen)[edge]
        operations = [chosen] if chosen >= 0 else list(range(len(self.operations)))
        return [operation for operation in operations if (edge, operation) != self._removed_operation]

    def _check_position(self, edge: int, operation: int = 0) -> None:
        if not (0 <= edge < len(self.edges) and 0 <= operation < len(self.operations)):
            raise IndexError(
                f'the cell has {len(self.edges)} edges and {len(self.operations)} operations, got edge {edge} and '
                f'operation {operation}'
            )
