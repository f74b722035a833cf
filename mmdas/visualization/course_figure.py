"""The mixtures of a cell over its search, as curves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmdas.search.das import Policy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
PANEL = (2.6, 1.8)  # inches
LEGEND = 0.8  # below the panels
GAPS = {'wspace': 0.18, 'hspace': 0.38}
MANY = 10  # colours of the palette; operations beyond have them again, dashed
Curve = Sequence[tuple[float, float]]


def draw_course(curves: Mapping[str, Curve], policy: Policy) -> 'Figure':
    """Draw the entropy of the mixtures and, an edge a panel, the weight of each operation.

    The operation that the policy has on an edge is drawn thick, with a point at its end. The title says where the clip
    does not depend on an edge, and where the selection has left it out.

    Args:
        curves: as :meth:`mmdas.search.das.DASCell.report` names them -> (iteration, value).
        policy: that the search found.

    Raises:
        ValueError: if there are no curves of an edge.
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    edges = edges_of(curves)
    if not edges:
        raise ValueError('no curve of an edge, such as edge_0_2/rotate, to draw')
    operations = list(dict.fromkeys(name for weights in edges.values() for name in weights))
    rows = -(-(len(edges) + 1) // COLUMNS)
    width, height = PANEL[0] * COLUMNS, PANEL[1] * rows + LEGEND
    figure = Figure(figsize=(width, height))
    margins = {'left': 0.4 / width, 'right': 1 - 0.1 / width, 'top': 1 - 0.3 / height, 'bottom': LEGEND / height}
    first, *panels = figure.subplots(rows, COLUMNS, squeeze=False, gridspec_kw={**margins, **GAPS}).flat
    _draw_entropy(first, curves)
    for axes, (edge, weights) in zip(panels, edges.items(), strict=False):
        _draw_edge(axes, edge, weights, policy, operations)
    for axes in panels[len(edges) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc='lower center', ncols=9, fontsize=7, frameon=False)
    for line in legend.get_lines():
        line.set_linewidth(1.5)
    return figure


def edges_of(curves: Mapping[str, Curve]) -> dict[str, dict[str, Curve]]:
    """``'0-2'`` -> operation -> curve of its weight, of the names of a cell's report."""
    found: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        edge, _, operation = name.partition('/')
        if edge.startswith('edge_') and operation not in ('', 'entropy'):
            found.setdefault('-'.join(edge.split('_')[1:]), {})[operation] = curve
    return found


def place_in_policy(edge: str, policy: Policy) -> tuple[str | None, str]:
    """The operation that a policy has on an edge (None where it has left the edge out), and what to say of it."""
    source, target = map(int, edge.split('-'))
    of_edge = [one for one in policy.edges if (one.source, one.target) == (source, target)]
    if not of_edge:
        return None, 'left out'
    reaches = of_edge[0] in policy.needed_edges
    return of_edge[0].operation, '' if reaches else 'does not reach the clip'


def _draw_entropy(axes: 'Axes', curves: Mapping[str, Curve]) -> None:
    for name, curve in curves.items():
        if name.endswith('/entropy'):
            axes.plot(*zip(*curve, strict=True), color='lightsteelblue', linewidth=0.8)
    if curves.get('mean_entropy'):
        axes.plot(*zip(*curves['mean_entropy'], strict=True), color='black')
    axes.set_title('entropy, nats: each edge, mean', fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_edge(
    axes: 'Axes', edge: str, weights: Mapping[str, Curve], policy: Policy, operations: Sequence[str]
) -> None:
    chosen, note = place_in_policy(edge, policy)
    for name, curve in weights.items():
        number = operations.index(name)
        look: dict[str, Any] = {'color': f'C{number % MANY}', 'linestyle': '-' if number < MANY else '--'}
        axes.plot(*zip(*curve, strict=True), linewidth=2.6 if name == chosen else 0.9, label=name, **look)
        if name == chosen:
            axes.plot(*curve[-1], 'o', color=look['color'])
    title = f'{edge.replace("-", " → ")}: {note or chosen}'
    axes.set_title(title, fontsize=8, color='grey' if note else 'black')
    axes.set_ylim(0, None)
    axes.tick_params(labelsize=7)
