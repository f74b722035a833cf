"""The mask of least energy, by a minimum cut.

The cost of neighbours is convex in the difference of their labels. So a cut finds the least energy of any number of
labels (Ishikawa, TPAMI 2003). The alpha-beta swaps of the authors' code only come near it.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .energy import Energy

UNIT = 2**22  # steps that a cost of 1 is rounded to
ENDLESS = 2**30  # more than any sum of costs


def minimal_labels(energy: Energy) -> Tensor:
    """Labels of least energy, up to the rounding of each cost to 2^-22.

    Args:
        energy: of N masks.

    Returns:
        (N, n, n), integers, on the device of the energy; of several masks with the least energy the same one always.
    """
    parts = [part.detach().cpu().numpy() for part in (energy.labels, energy.right, energy.down)]
    found = [cut_labels(*mask) for mask in zip(*parts, strict=True)]
    return torch.from_numpy(np.stack(found)).to(energy.labels.device)


def cut_labels(labels: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Labels (n, n) of one mask, see :class:`Energy`."""
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow  # not before a mask is cut

    levels, blocks = labels.shape[0] - 1, labels.shape[1]
    graph = edges(levels, blocks)
    costs = np.rint((labels - labels.min(0)) * UNIT)
    weights = np.rint(np.concatenate([right.ravel(), down.ravel()]) * UNIT / levels**2)
    capacities = np.concatenate([costs.ravel(), np.full(graph.walls, ENDLESS), (graph.factors * weights).ravel()])
    network = graph.matrix(capacities)
    source, sink = network.shape[0] - 2, network.shape[0] - 1
    left = network - maximum_flow(network, source, sink).flow
    left.data *= left.data > 0
    left.eliminate_zeros()
    reached = np.zeros(network.shape[0], dtype=np.int64)
    reached[breadth_first_order(left, source, return_predecessors=False)] = 1
    return reached[:-2].reshape(levels, blocks, blocks).sum(0)


class Edges:
    """The edges of the graph of a mask; node (k, row, column) is with the source where the label is above k.

    Args:
        levels: L - 1.
        blocks: n, a side.
    """

    def __init__(self, levels: int, blocks: int) -> None:
        area = blocks * blocks
        nodes = np.arange(levels * area, dtype=np.int32).reshape(levels, blocks, blocks)  # which SciPy's flows ask for
        self.count = nodes.size + 2
        source, sink = np.full_like(nodes[0], nodes.size), np.full_like(nodes[0], nodes.size + 1)
        chain = np.stack([source, *nodes, sink]).reshape(levels + 2, area)
        starts, ends = [chain[:-1].ravel()], [chain[1:].ravel()]  # edge l of a chain is cut where the label is l
        walls = chain[1:-1]  # a node with the source has those before it there, too
        starts, ends = [*starts, walls[1:].ravel()], [*ends, walls[:-1].ravel()]
        self.walls = walls[1:].size
        ones = np.concatenate([nodes[:, :, :-1].reshape(levels, -1), nodes[:, :-1].reshape(levels, -1)], axis=1)
        others = np.concatenate([nodes[:, :, 1:].reshape(levels, -1), nodes[:, 1:].reshape(levels, -1)], axis=1)
        factors = []
        for upper in range(levels):
            for lower in range(upper + 1):  # d (d + 1) / 2 of these are cut where labels differ by d: d^2 in all
                for first, second in ((ones, others), (others, ones)):
                    starts.append(first[upper])
                    ends.append(second[lower])
                    factors.append([1 if upper == lower else 2])
        self.factors = np.array(factors)
        self.starts, self.ends = np.concatenate(starts), np.concatenate(ends)

    def matrix(self, capacities: np.ndarray) -> Any:
        """The graph with capacities."""
        from scipy.sparse import csr_array

        shape = (self.count, self.count)
        return csr_array((capacities.astype(np.int32), (self.starts, self.ends)), shape=shape)


edges = cache(Edges)
