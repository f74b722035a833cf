"""The mixtures of a relaxed cell as a heat map."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmdas.search.das.topology import Edge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = (0.55, 0.26)  # inches of a weight


def draw_mixtures(weights: np.ndarray, edges: Sequence[Edge], operation_names: Sequence[str]) -> 'Figure':
    """Draw the weight of every operation on every edge.

    Args:
        weights: (E, K) in [0, 1], such as ``cell.weights().detach().numpy()``.
        edges: the E edges as (source, target).
        operation_names: the K operations.

    Raises:
        ValueError: if the shape of the weights is not that of edges and operations.
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    weights = np.asarray(weights)
    num_edges, num_operations = len(edges), len(operation_names)
    if weights.shape != (num_edges, num_operations):
        raise ValueError(
            f'weights have the shape {weights.shape}, but there are {num_edges} edges and {num_operations} operations'
        )
    figure = Figure(figsize=(2.2 + CELL[0] * num_operations, 1.5 + CELL[1] * num_edges), layout='constrained')
    axes = figure.subplots()
    heat = axes.imshow(weights, cmap='viridis', vmin=0, vmax=1, aspect='auto')
    axes.set_xticks(range(num_operations), operation_names, rotation=45, ha='right', rotation_mode='anchor')
    axes.set_yticks(range(num_edges), [f'{source} → {target}' for source, target in edges])
    axes.set(ylabel='edge', title='mixture weights')
    for (row, column), weight in np.ndenumerate(weights):
        colour = 'black' if weight > 0.5 else 'white'
        axes.text(column, row, f'{weight:.2f}', ha='center', va='center', fontsize=7, color=colour)
    figure.colorbar(heat)
    return figure
