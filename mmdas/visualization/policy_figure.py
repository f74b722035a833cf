"""A policy as a picture: its nodes on a line, its edges as arcs above and below it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from mmdas.search.das import OPERATIONS, Policy, PolicyEdge
from mmdas.search.das.topology import NUM_INPUTS, Edge, needed_nodes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib is imported by the functions that draw: who searches without a picture needs none.

INCHES = 1.75  # between two neighbouring nodes; all other lengths are in units of it
RADIUS = 0.13  # of a node
RISE = 0.36  # height of an arc per node that it spans: three lines of a label
FADED = 0.35  # opacity of what the output does not depend on
PALE = 'lightsteelblue'
PALE_NOTE = (0.01, 0.01)  # where it stands, in parts of the picture
ARROW: dict[str, Any] = {'arrowstyle': '-|>', 'mutation_scale': 12}


def save_policy_figure(policy: Policy, path: str | Path) -> None:
    """Draw a policy into a file.

    Args:
        policy: what to draw.
        path: of the picture; its suffix names the format, such as ``.png`` or ``.svg``.
    """
    draw_policy(policy).savefig(path, dpi=150)


def draw_policy(policy: Policy) -> 'Figure':
    """Draw the DAG of a policy: input nodes, intermediate nodes from left to right, and the clip.

    Every edge is labelled with its operation and its strength per step in the operation's unit. What the clip does not
    depend on is faded, and a note says so. The artists of an edge have the gid ``'edge 0-2'`` (source and target),
    those of a node ``'node 2'``.
    """
    pairs = [(edge.source, edge.target) for edge in policy.edges]
    output = NUM_INPUTS + policy.num_nodes - 1
    needed, sides = needed_nodes(pairs, output), choose_sides(pairs)
    figure, axes = _new_axes(output, _reach(pairs, sides, 1), _reach(pairs, sides, -1))
    for edge, pair in zip(policy.edges, pairs, strict=True):
        _draw_edge(axes, edge, sides[pair], faded=edge.target not in needed)
    for node in range(output + 1):
        _draw_node(axes, node, faded=node not in needed)
    _draw_output(axes, output)
    if len(needed) < output + 1 or any(edge.target not in needed for edge in policy.edges):
        axes.text(*PALE_NOTE, 'pale: does not reach the clip', transform=axes.transAxes, fontsize=8, color='grey')
    axes.set_title(describe_policy(policy), fontsize=10)
    return figure


def choose_sides(edges: Sequence[Edge]) -> dict[Edge, int]:
    """Side of the line that each arc takes: 1 above, -1 below, so that few arcs cross and few arrowheads meet.

    Long arcs are placed first; each goes where it crosses fewer of those that are there, then where fewer end in its
    target, then where there are fewer.
    """
    sides: dict[Edge, int] = {}
    for edge in sorted(edges, key=lambda edge: (edge[0] - edge[1], edge)):
        costs = {}
        for side in (1, -1):
            placed = [other for other in sides if sides[other] == side]
            crossings = sum(_cross(edge, other) for other in placed)
            costs[side] = (crossings, sum(other[1] == edge[1] for other in placed), len(placed))
        sides[edge] = min(costs, key=lambda side: costs[side])
    return sides


def describe_policy(policy: Policy) -> str:
    """One line on the clip, and one on where the policy comes from if its origin says what the search cost."""
    text = f'policy of T = {policy.num_frames} frames, {policy.ramp} ramp, {policy.padding} padding; strengths per step'
    cost = policy.origin.get('search_cost')
    if isinstance(cost, Mapping):
        cost = ', '.join(f'{name.replace("_", " ")} {_short(value)}' for name, value in cost.items())
    return text if cost is None else f'{text}\nsearch cost: {_short(cost)}'


def describe_edge(edge: PolicyEdge) -> str:
    """Label of an edge: operation, strength and unit."""
    operation = OPERATIONS[edge.operation]
    if operation.is_identity:
        return operation.name
    return f'{operation.name}\n{fill(f"{edge.strength:+.3g} {operation.unit}", 16)}'


def _short(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _cross(edge: Edge, other: Edge) -> bool:
    (a, b), (c, d) = sorted([edge, other])
    return a < c < b < d


def _reach(pairs: Sequence[Edge], sides: Mapping[Edge, int], side: int) -> float:
    """Height of the highest arc of a side."""
    return max((_height(source, target) for source, target in pairs if sides[source, target] == side), default=0.0)


def _height(source: int, target: int) -> float:
    return RADIUS + RISE * (target - source)


def _new_axes(output: int, above: float, below: float) -> tuple['Figure', 'Axes']:
    from matplotlib.figure import Figure

    left, right, margin, title = -0.4, output + 1.4, 0.25, 0.3
    width, height = right - left, above + below + 2 * margin + title
    figure = Figure(figsize=(INCHES * width, INCHES * height))
    axes = figure.add_axes((0, 0, 1, 1 - title / height))
    axes.set(xlim=(left, right), ylim=(-below - margin, above + margin), aspect='equal')
    axes.set_axis_off()
    return figure, axes


def _draw_edge(axes: 'Axes', edge: PolicyEdge, side: int, faded: bool) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    look: dict[str, Any] = {'alpha': FADED if faded else 1.0, 'gid': f'edge {edge.source}-{edge.target}'}
    start, end = edge.source + 0.5 * RADIUS, edge.target - 0.5 * RADIUS
    base, height = side * 0.9 * RADIUS, side * _height(edge.source, edge.target)
    control = base + 4 / 3 * (height - base)  # a cubic Bezier curve rises to 3/4 of its control points
    curve = Curve([(start, base), (start, control), (end, control), (end, base)], [Curve.MOVETO] + 3 * [Curve.CURVE4])
    axes.add_patch(FancyArrowPatch(path=curve, color=_colour(edge.operation), linewidth=1.6, **ARROW, **look))
    place: dict[str, Any] = {
        'ha': 'center',
        'va': 'center',
        'fontsize': 8,
        'bbox': {'facecolor': 'white', 'linewidth': 0, 'pad': 1},
    }
    axes.text((start + end) / 2, height, describe_edge(edge), **place, **look)


def _draw_node(axes: 'Axes', node: int, faded: bool) -> None:
    from matplotlib.patches import Circle

    look: dict[str, Any] = {'alpha': FADED if faded else 1.0, 'gid': f'node {node}', 'zorder': 4}
    axes.add_patch(Circle((node, 0), RADIUS, facecolor=PALE, edgecolor='black', **look))
    label = f'{node}\nimage' if node < NUM_INPUTS else str(node)
    axes.text(node, 0, label, ha='center', va='center', fontsize=8, **{**look, 'zorder': 5})


def _draw_output(axes: 'Axes', output: int) -> None:
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    ends = (output + RADIUS, 0), (output + 0.8, 0)
    axes.add_patch(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, facecolor='black', **ARROW))
    axes.add_patch(FancyBboxPatch((output + 0.85, -0.08), 0.3, 0.16, boxstyle='round,pad=0.05', facecolor=PALE))
    axes.text(output + 1, 0, 'clip', ha='center', va='center', fontsize=9)


def _colour(operation: str) -> tuple[float, ...]:
    from matplotlib import colormaps

    position = list(OPERATIONS).index(operation) % 20
    return colormaps['tab20']((2 * position) % 20 + position // 10)  # the ten strong colours, then the pale ones
