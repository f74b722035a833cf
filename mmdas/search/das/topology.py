"""The DAG of a cell: two input nodes, both the repeated image, and intermediate nodes that see all earlier ones."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from torch import Tensor

NUM_INPUTS = 2
REDUCTIONS = ('mean', 'sum')

Edge = tuple[int, int]  # (source, target)
Frames = TypeVar('Frames', Tensor, float)  # or the share of the image in them


def all_edges(num_nodes: int) -> tuple[Edge, ...]:
    """Edges of the full cell with ``num_nodes`` intermediate nodes, in order of target and source (4 nodes: 14)."""
    if num_nodes < 1:
        raise ValueError(f'a cell needs at least one intermediate node, got num_nodes={num_nodes}')
    return tuple((source, target) for target in range(NUM_INPUTS, NUM_INPUTS + num_nodes) for source in range(target))


def incoming(edges: Iterable[Edge], target: int) -> list[int]:
    """Positions of the edges that end in ``target``."""
    return [position for position, edge in enumerate(edges) if edge[1] == target]


def canonical_source(source: int) -> int:
    """Both input nodes hold the same frames, so what leaves the second equals what leaves the first."""
    return 0 if source < NUM_INPUTS else source


def sorted_by_target(edges: Iterable[Edge]) -> dict[int, list[int]]:
    """Target -> positions of the edges that end there."""
    found: dict[int, list[int]] = {}
    for position, (_, target) in enumerate(edges):
        found.setdefault(target, []).append(position)
    return found


def needed_nodes(edges: Sequence[Edge], output: int) -> set[int]:
    """Nodes that the output depends on, itself included."""
    positions, needed, stack = sorted_by_target(edges), set(), [output]
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(edges[position][0] for position in positions.get(node, ()))
    return needed


def steps(edges: Sequence[Edge], num_nodes: int) -> list[tuple[int, list[int]]]:
    """Nodes that the last node depends on, in order, each with the positions of its edges.

    Args:
        edges: the edges that are there.
        num_nodes: intermediate nodes.

    Raises:
        ValueError: if no edge ends in a node that the last one depends on.
    """
    needed = needed_nodes(edges, NUM_INPUTS + num_nodes - 1) - set(range(NUM_INPUTS))
    found = sorted_by_target(edges)
    order = [(target, found.get(target, [])) for target in sorted(needed)]
    for target, positions in order:
        if not positions:
            raise ValueError(
                f'no edge ends in node {target}, which the clip depends on; keep at least one of its edges'
            )
    return order


def evaluate(
    frames: Frames,
    edges: Sequence[Edge],
    edge_output: Callable[[int, Frames], Frames],
    num_nodes: int,
    reduction: str = 'mean',
) -> Frames:
    """Frames of the last node.

    Args:
        frames: what both input nodes hold.
        edges: the edges that are there.
        edge_output: ``edge_output(position, frames of the source)`` -> what the edge adds to its target.
        num_nodes: intermediate nodes.
        reduction: ``'mean'`` keeps the brightness of the image; ``'sum'`` doubles it with every node of two edges.

    Raises:
        ValueError: if no edge ends in a node that the output depends on.
    """
    nodes = dict.fromkeys(range(NUM_INPUTS), frames)
    for target, positions in steps(edges, num_nodes):
        terms = [edge_output(position, nodes[edges[position][0]]) for position in positions]
        total = sum(terms[1:], start=terms[0])
        nodes[target] = total / len(terms) if reduction == 'mean' else total
    return nodes[target]
