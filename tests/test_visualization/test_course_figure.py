"""The curves of a search: what was chosen is marked, what does not reach the clip is told."""

import pytest

from mmdas.search.das import DASCell, Policy, PolicyEdge
from mmdas.visualization import draw_course
from mmdas.visualization.course_figure import edges_of

NAMES = ('identity', 'rotate', 'noise')
# Of two nodes the clip is the second; node 2 leads nowhere, since the clip has one edge, from the image.
POLICY = Policy(4, 2, (PolicyEdge(0, 2, 'noise', 0.1), PolicyEdge(0, 3, 'rotate', 3.0)))


def curves_of(cell: DASCell) -> dict:
    return {name: [(10, value), (20, value / 2)] for name, value in cell.report().items()}


@pytest.fixture(scope='module')
def figure():
    cell = DASCell(num_frames=4, space=list(NAMES), num_nodes=2)
    return draw_course(curves_of(cell), POLICY)


def panels(figure) -> dict:
    titles = {axes.get_title(): axes for axes in figure.axes if axes.axison}
    return {title.partition(':')[0]: (title.partition(': ')[2], axes) for title, axes in titles.items()}


def test_every_edge_has_a_panel_that_says_what_became_of_it(figure):
    told = {edge: note for edge, (note, _) in panels(figure).items() if '→' in edge}
    assert told == {
        **{'0 → 2': 'does not reach the clip', '0 → 3': 'rotate'},
        **dict.fromkeys(['1 → 2', '1 → 3', '2 → 3'], 'left out'),
    }


def test_the_chosen_operation_alone_is_thick_and_ends_in_a_point(figure):
    lines = panels(figure)['0 → 3'][1].lines
    thick = [line for line in lines if line.get_linewidth() > 2]
    points = [line for line in lines if line.get_marker() == 'o']
    assert [line.get_label() for line in thick] == ['rotate'] and len(points) == 1
    assert points[0].get_xydata().tolist() == [thick[0].get_xydata()[-1].tolist()]
    assert not [line for line in panels(figure)['1 → 2'][1].lines if line.get_linewidth() > 2]


def test_weights_of_an_edge_are_the_curves_of_the_report(figure):
    cell = DASCell(num_frames=4, space=list(NAMES), num_nodes=2)
    found = edges_of(curves_of(cell))
    assert {edge: tuple(weights) for edge, weights in found.items()} == dict.fromkeys(
        ['0-2', '1-2', '0-3', '1-3', '2-3'], NAMES
    )
    assert all(sum(curve[0][1] for curve in weights.values()) == pytest.approx(1) for weights in found.values())


def test_no_curves_are_an_error():
    with pytest.raises(ValueError, match='no curve of an edge'):
        draw_course({'mean_entropy': [(1, 1.0)]}, POLICY)
