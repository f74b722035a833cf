import pytest
import torch
from cell_reference import assert_equal, build_cell, clip_by_loops, one_hot, random_images, softmax_by_hand

from mmdas.search.das import SPACES, DASCell


@pytest.mark.parametrize('edge', [0, 4])
@pytest.mark.parametrize('operation', [0, 3])
def test_removed_operation_leaves_a_gap_in_the_mixture(edge: int, operation: int) -> None:
    cell, images = build_cell(), random_images()
    weights = softmax_by_hand(cell)
    weights[edge, operation] = 0
    with cell.without_operation(edge, operation):
        assert_equal(cell(images), clip_by_loops(cell, images, weights))


@pytest.mark.parametrize('edge', [0, 4])
@pytest.mark.parametrize('operation', [0, 3])
def test_others_fill_the_gap_where_a_trial_is_renormalised(edge: int, operation: int) -> None:
    cell, images = build_cell(), random_images()
    weights = softmax_by_hand(cell)
    weights[edge] /= 1 - weights[edge, operation]
    weights[edge, operation] = 0
    with cell.without_operation(edge, operation, renormalize=True):
        assert_equal(cell(images), clip_by_loops(cell, images, weights))
    assert_equal(cell.weights(), softmax_by_hand(cell))


def test_edge_without_its_chosen_operation_adds_nothing() -> None:
    cell, images = build_cell(), random_images()
    cell.choose(2, 1)
    weights = softmax_by_hand(cell)
    weights[2] = 0
    with cell.without_operation(2, 1):
        assert_equal(cell(images), clip_by_loops(cell, images, weights))


@pytest.mark.parametrize('edge', [1, 3])
def test_node_is_the_mean_over_the_edges_that_remain(edge: int) -> None:
    cell, images = build_cell(), random_images()
    with cell.without_edge(edge):
        assert_equal(cell(images), clip_by_loops(cell, images, gone=[edge]))


def test_two_removals_at_a_time() -> None:
    cell, images = build_cell(), random_images()
    weights = softmax_by_hand(cell)
    weights[4, 3] = 0
    with cell.without_operation(4, 3), cell.without_edge(2):
        assert_equal(cell(images), clip_by_loops(cell, images, weights, gone=[2]))


@pytest.mark.parametrize('removal', [lambda cell: cell.without_operation(1, 2), lambda cell: cell.without_edge(1)])
def test_cell_is_as_before_after_a_trial_that_failed(removal) -> None:
    cell, images = build_cell(), random_images()
    before = cell(images)
    with pytest.raises(RuntimeError, match='no memory'), removal(cell):
        assert not torch.equal(cell(images), before)
        raise RuntimeError('no memory')
    assert_equal(cell(images), before)  # up to rounding: the trial made the operators of the fast path


def test_decisions_hold_against_the_loops() -> None:
    cell, images = build_cell(), random_images()
    cell.choose(0, 3)
    cell.choose(4, 1)
    cell.keep_edges(3, [2, 4])
    weights = softmax_by_hand(cell)
    weights[[0, 4]] = one_hot(cell, [3, 1])
    assert_equal(cell.weights(), weights)
    assert_equal(cell(images), clip_by_loops(cell, images, weights, gone=[3]))


def test_only_undecided_edges_have_a_gradient() -> None:
    cell = build_cell()
    cell.choose(0, 3)
    cell(random_images()).square().sum().backward()
    assert (cell.logits.grad[0] == 0).all()
    assert (cell.logits.grad[1:] != 0).all()


def test_decisions_survive_a_checkpoint() -> None:
    cell, images = build_cell(strength='learned'), random_images()
    for edge, operation in enumerate([1, 3, 0, 4, 2]):
        cell.choose(edge, operation)
    cell.keep_edges(3, [2, 4])
    restored = build_cell(strength='learned')
    restored.load_state_dict(cell.state_dict())
    assert torch.equal(restored(images), cell(images))
    assert restored.to_policy() == cell.to_policy()


def test_policy_lists_what_was_decided() -> None:
    cell = build_cell(5, ramp='mirrored', padding='border', node_reduction='sum', share_strength=True, seed=7)
    for edge, operation in enumerate([1, 3, 0, 4, 2]):
        cell.choose(edge, operation)
    cell.keep_edges(3, [2, 4])
    policy = cell.to_policy({'config': 'search.py'})
    strengths = cell.strengths()[0].tolist()
    assert [(edge.source, edge.target, edge.operation, edge.strength) for edge in policy.edges] == [
        (0, 2, 'translate_x', strengths[1]),
        (1, 2, 'rotate', strengths[3]),
        (0, 3, 'identity', strengths[0]),
        (2, 3, 'translate_y', strengths[2]),
    ]
    assert (policy.num_frames, policy.num_nodes, policy.seed) == (5, 2, 7)
    assert (policy.ramp, policy.padding, policy.node_reduction) == ('mirrored', 'border', 'sum')
    assert policy.origin == {'config': 'search.py'}


def test_policy_has_the_strength_of_the_chosen_part_and_each_operation_once_in_its_space() -> None:
    cell = build_cell(num_strengths=2)
    for edge, operation in enumerate([2, 5, 0, 7, 8]):
        cell.choose(edge, operation)
    policy, strengths = cell.to_policy(), cell.strengths()
    assert policy.operations == SPACES['paper']
    assert [edge.operation for edge in policy.edges] == ['translate_x', 'rotate', 'identity', 'scale', 'scale']
    assert [edge.strength for edge in policy.edges] == [
        strengths[edge, operation].item() for edge, operation in enumerate([2, 5, 0, 7, 8])
    ]
    assert policy.edges[3].strength < 0 < policy.edges[4].strength


def test_no_policy_while_a_kept_edge_is_undecided() -> None:
    cell = build_cell()
    for edge in (0, 2, 3):
        cell.choose(edge, 1)
    with pytest.raises(RuntimeError, match=r'\[\(1, 2\), \(2, 3\)\] have no chosen operation'):
        cell.to_policy()
    cell.keep_edges(2, [0])
    cell.keep_edges(3, [2, 3])
    assert len(cell.to_policy().edges) == 3


@pytest.mark.parametrize('edge', [-1, 5])
@pytest.mark.parametrize('decision', ['choose', 'without_operation', 'without_edge'])
def test_decision_about_an_edge_that_is_not_there_is_refused(decision: str, edge: int) -> None:
    arguments = (edge,) if decision == 'without_edge' else (edge, 0)
    with pytest.raises(IndexError, match=f'5 edges and 5 operations, got edge {edge}'):
        decide(build_cell(), decision, *arguments)


@pytest.mark.parametrize('operation', [-1, 5])
@pytest.mark.parametrize('decision', ['choose', 'without_operation'])
def test_decision_for_an_operation_that_is_not_there_is_refused(decision: str, operation: int) -> None:
    with pytest.raises(IndexError, match=f'got edge 0 and operation {operation}'):
        decide(build_cell(), decision, 0, operation)


def decide(cell: DASCell, decision: str, *arguments: int) -> None:
    result = getattr(cell, decision)(*arguments)
    if decision != 'choose':
        with result:
            pass


@pytest.mark.parametrize('edges', [[], [0], [2, 9]])
def test_node_keeps_at_least_one_edge_of_its_own(edges: list[int]) -> None:
    cell = build_cell()
    with pytest.raises(ValueError, match=r'node 3 keeps one or more of its edges \[2, 3, 4\]'):
        cell.keep_edges(3, edges)
    assert cell.kept.all()


def test_removal_of_the_last_edge_of_a_node_is_refused() -> None:
    cell = build_cell()
    cell.keep_edges(3, [4])
    with pytest.raises(ValueError, match='no edge ends in node 3'), cell.without_edge(4):
        cell(random_images())
