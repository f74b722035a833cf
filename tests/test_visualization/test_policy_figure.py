from collections.abc import Sequence
from pathlib import Path

import cv2
import pytest
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from mmdas.search.das import OPERATIONS, Policy, PolicyEdge
from mmdas.search.das.topology import all_edges
from mmdas.visualization import draw_policy, save_policy_figure
from mmdas.visualization.policy_figure import choose_sides


def artists(figure: Figure, kind: str) -> dict[str, list[Artist]]:
    """Gid -> artists of all ``'edge'``s or ``'node'``s."""
    found = {}
    for artist in figure.findobj(lambda artist: (artist.get_gid() or '').startswith(kind)):
        found.setdefault(artist.get_gid(), []).append(artist)
    return found


def label(group: list[Artist]) -> str:
    return next(artist.get_text() for artist in group if isinstance(artist, Text))


def faded(groups: dict[str, list[Artist]]) -> set[str]:
    """Gids of the groups of which every artist is faded; an artist that differs from its group fails."""
    alphas = {gid: {artist.get_alpha() for artist in group} for gid, group in groups.items()}
    assert all(len(values) == 1 for values in alphas.values())
    return {gid for gid, values in alphas.items() if values != {1.0}}


def reaches(node: int, output: int, pairs: Sequence[tuple[int, int]]) -> bool:
    return node == output or any(reaches(target, output, pairs) for source, target in pairs if source == node)


def full_policy() -> Policy:
    """All 14 edges, each with another operation of the large space."""
    operations = list(OPERATIONS)[: len(all_edges(4))]
    edges = [PolicyEdge(*edge, name, 0.1) for edge, name in zip(all_edges(4), operations, strict=True)]
    return Policy(num_frames=8, num_nodes=4, edges=tuple(edges))


@pytest.mark.parametrize('space', ['paper', 'large'])
@pytest.mark.parametrize('seed', range(4))
def test_every_edge_is_labelled_with_its_operation_strength_and_unit(seed: int, space: str) -> None:
    policy = Policy.random(num_frames=8, space=space, seed=seed)
    edges = artists(draw_policy(policy), 'edge')
    assert len(edges) == len(policy.edges)
    for edge in policy.edges:
        words = label(edges[f'edge {edge.source}-{edge.target}']).split()
        assert words[0] == edge.operation
        if edge.operation != 'identity':
            assert float(words[1]) == pytest.approx(edge.strength, rel=0.01)
            assert ' '.join(words[2:]) == OPERATIONS[edge.operation].unit


@pytest.mark.parametrize('seed', range(6))
def test_faded_are_exactly_the_edges_and_nodes_from_which_no_path_leads_to_the_clip(seed: int) -> None:
    policy = Policy.random(num_frames=8, seed=seed)
    figure = draw_policy(policy)
    pairs = [(edge.source, edge.target) for edge in policy.edges]
    assert faded(artists(figure, 'edge')) == {f'edge {a}-{b}' for a, b in pairs if not reaches(b, 5, pairs)}
    assert faded(artists(figure, 'node')) == {f'node {node}' for node in range(6) if not reaches(node, 5, pairs)}


def test_some_of_the_policies_above_have_something_to_fade() -> None:
    assert faded(artists(draw_policy(Policy.random(num_frames=8, seed=2)), 'edge'))
    assert not faded(artists(draw_policy(full_policy()), 'edge'))


def test_a_note_says_what_pale_means_where_something_is_pale() -> None:
    for policy, pale in ((Policy.random(num_frames=8, seed=2), True), (full_policy(), False)):
        texts = [text.get_text() for text in draw_policy(policy).findobj(Text)]
        assert ('pale: does not reach the clip' in texts) == pale


@pytest.mark.parametrize('policy', [full_policy(), *(Policy.random(8, 'large', seed=seed) for seed in range(4))])
def test_no_text_covers_another(policy: Policy) -> None:
    figure = draw_policy(policy)
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    clashes = [
        (texts[i].get_text(), texts[j].get_text())
        for i in range(len(boxes))
        for j in range(i)
        if boxes[i].overlaps(boxes[j])
    ]
    assert clashes == []


@pytest.mark.parametrize('num_nodes', [1, 4, 7])
def test_everything_lies_within_the_picture(num_nodes: int) -> None:
    origin = {'search_cost': {'wall_seconds': 1234.5, 'cpu_seconds': 2345.6}}
    figure = draw_policy(Policy.random(num_frames=16, num_nodes=num_nodes, seed=0, origin=origin))
    renderer = FigureCanvasAgg(figure).get_renderer()
    drawn, whole = figure.get_tightbbox(renderer), figure.bbox_inches
    assert drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= whole.x1 and drawn.y1 <= whole.y1


def test_two_edges_of_a_chain_do_not_cross() -> None:
    sides = choose_sides([(0, 2), (1, 3)])
    assert sides[0, 2] != sides[1, 3]


@pytest.mark.parametrize(
    ('cost', 'text'),
    [
        ({'cpu_seconds': 812.34, 'gpus': 1}, 'search cost: cpu seconds 812.3, gpus 1'),
        ('4 GPU hours', 'search cost: 4 GPU hours'),
        (None, None),
    ],
)
def test_title_tells_frames_ramp_and_search_cost(cost: object, text: str | None) -> None:
    origin = {} if cost is None else {'search_cost': cost}
    policy = Policy.random(num_frames=5, seed=0, ramp='mirrored', origin=origin)
    title = draw_policy(policy).axes[0].get_title()
    assert 'T = 5' in title and 'mirrored' in title
    assert ('search cost' in title) == (text is not None)
    assert text is None or text in title


def test_saved_picture_has_the_size_of_the_figure(tmp_path: Path) -> None:
    policy = Policy.random(num_frames=8, seed=0)
    save_policy_figure(policy, tmp_path / 'policy.png')
    picture = cv2.imread(str(tmp_path / 'policy.png'))
    width, height = draw_policy(policy).get_size_inches()
    assert picture.shape[:2] == (int(150 * height), int(150 * width))
    assert picture.std() > 0
