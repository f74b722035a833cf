import pytest
import torch

from mmdas.search.das.topology import all_edges, canonical_source, evaluate, incoming, needed_nodes, steps


def test_four_nodes_have_fourteen_edges() -> None:
    edges = all_edges(4)
    assert len(edges) == 14
    assert [len(incoming(edges, node)) for node in range(6)] == [0, 0, 2, 3, 4, 5]


def test_edges_are_ordered_by_target_and_source() -> None:
    assert all_edges(2) == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


@pytest.mark.parametrize('num_nodes', [0, -1])
def test_cell_without_nodes_is_refused(num_nodes: int) -> None:
    with pytest.raises(ValueError, match=f'num_nodes={num_nodes}'):
        all_edges(num_nodes)


def test_both_inputs_count_as_one_source() -> None:
    assert [canonical_source(node) for node in range(5)] == [0, 0, 2, 3, 4]


@pytest.mark.parametrize(
    ('edges', 'output', 'needed'),
    [
        ([(0, 2), (1, 3), (2, 3)], 3, {0, 1, 2, 3}),
        ([(0, 2), (1, 3)], 3, {1, 3}),  # node 2 leads nowhere
        ([(0, 2), (2, 3), (3, 4), (0, 5), (2, 5)], 5, {0, 2, 5}),
        ([(0, 2), (0, 3), (2, 4), (3, 4), (4, 5), (2, 5)], 5, {0, 2, 3, 4, 5}),  # two ways to node 2
    ],
)
def test_needed_nodes_are_those_with_a_way_to_the_output(
    edges: list[tuple[int, int]], output: int, needed: set[int]
) -> None:
    assert needed_nodes(edges, output) == needed


@pytest.mark.parametrize(('reduction', 'expected'), [('mean', (6 + (2 + 3) / 2 * 7) / 2), ('sum', 6 + (2 + 3) * 7)])
def test_node_reduces_its_incoming_edges(reduction: str, expected: float) -> None:
    edges, factors = [(0, 2), (1, 2), (0, 3), (2, 3)], [2, 3, 6, 7]
    result = evaluate(torch.ones(1), edges, lambda position, frames: factors[position] * frames, 2, reduction)
    assert result.item() == expected


def test_nodes_that_lead_nowhere_are_not_computed() -> None:
    edges, computed = [(0, 2), (1, 3), (0, 4), (3, 4)], []

    def edge_output(position: int, frames: torch.Tensor) -> torch.Tensor:
        computed.append(edges[position])
        return frames

    evaluate(torch.ones(1), edges, edge_output, 3)
    assert (0, 2) not in computed
    assert len(computed) == 3


def test_node_without_incoming_edge_is_refused_where_the_output_depends_on_it() -> None:
    with pytest.raises(ValueError, match='no edge ends in node 2'):
        evaluate(torch.ones(1), [(0, 3), (2, 3)], lambda position, frames: frames, 2)


def test_steps_lead_from_node_to_node_with_their_edges() -> None:
    edges = all_edges(4)
    assert steps(edges, 4) == [(node, incoming(edges, node)) for node in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ('edges', 'num_nodes', 'expected'),
    [
        ([(0, 2), (1, 3), (0, 4), (3, 4)], 3, [(3, [1]), (4, [2, 3])]),  # node 2 leads nowhere
        ([(3, 4), (0, 4), (1, 3)], 3, [(3, [2]), (4, [0, 1])]),  # edges in any order
        ([(1, 4)], 3, [(4, [0])]),  # nodes that are not needed may lack edges
        ([(1, 2)], 1, [(2, [0])]),
    ],
)
def test_steps_hold_nothing_that_leads_nowhere(
    edges: list[tuple[int, int]], num_nodes: int, expected: list[tuple[int, list[int]]]
) -> None:
    assert steps(edges, num_nodes) == expected


@pytest.mark.parametrize(('edges', 'node'), [([(0, 3), (2, 3)], 2), ([(0, 2)], 3), ([], 3)])
def test_step_without_edges_is_refused(edges: list[tuple[int, int]], node: int) -> None:
    with pytest.raises(ValueError, match=f'no edge ends in node {node}'):
        steps(edges, 2)
