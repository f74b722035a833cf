import json
from collections.abc import Callable

import pytest
import torch
from mmengine.registry import TASK_UTILS
from mmengine.runner import Runner
from toy_search import prepare, read_policy, run
from windmills import STEP, windmill_search

from mmdas.engine import (
    ArgmaxSelection,
    BaseSelection,
    BlankSelection,
    Decision,
    PerturbationSelection,
    Score,
)
from mmdas.search.das import DASCell

USEFUL = [3, 0, 2, 1, 4]  # operation of each edge that the score below rewards
PERTURBATION = dict(type='mmdas.PerturbationSelection', num_batches=2)


def small_cell() -> DASCell:
    """Five edges: two end in node 2, three in node 3."""
    return DASCell(num_frames=3, num_nodes=2, seed=1)


def decide_all(
    selection: PerturbationSelection, cell: DASCell, evaluate: Callable[[], Score]
) -> list[dict[str, float]]:
    return [selection.decide(cell, decision, evaluate) for decision in selection.decisions(cell)]


def reward_useful(cell: DASCell) -> float:
    weights = cell.weights().detach()
    return sum(weights[edge, operation].item() for edge, operation in enumerate(USEFUL))


def reward_edges(cell: DASCell, worth: dict[tuple[int, int], float]) -> float:
    return sum(worth.get((edge.source, edge.target), 0) for edge in cell.to_policy().edges)


# selection with a score that is known


def test_every_edge_keeps_the_operation_whose_removal_hurts_most():
    cell = small_cell()
    decide_all(PerturbationSelection(), cell, lambda: Score(reward_useful(cell), 0.0))
    assert cell.chosen.tolist() == USEFUL


def test_an_operation_that_hurts_by_being_there_is_not_kept():
    cell = small_cell()
    decide_all(PerturbationSelection(), cell, lambda: Score(-cell.weights()[:, :4].sum().item(), 0.0))
    assert cell.chosen.tolist() == [4] * 5


@pytest.mark.parametrize('renormalize', [True, False])
def test_a_dimmer_image_does_not_decide_where_trials_are_renormalised(renormalize):
    """The score wants an image as dim as possible, and little more the operation that the logits prefer."""
    cell = small_cell()
    with torch.no_grad():
        cell.logits[range(5), USEFUL] = 2.0

    def evaluate() -> Score:
        return Score(0.1 * reward_useful(cell) - cell.weights().sum().item(), 0.0)

    decide_all(PerturbationSelection(renormalize=renormalize), cell, evaluate)
    useful = [chosen == wanted for chosen, wanted in zip(cell.chosen.tolist(), USEFUL, strict=True)]
    assert all(useful) if renormalize else not any(useful)


def test_ties_of_the_quality_are_broken_by_the_loss():
    cell = small_cell()
    decide_all(PerturbationSelection(), cell, lambda: Score(1.0, reward_useful(cell)))
    assert cell.chosen.tolist() == USEFUL


def test_the_loss_does_not_overrule_the_quality():
    cell = small_cell()
    decide_all(PerturbationSelection(), cell, lambda: Score(reward_useful(cell), -1e3 * reward_useful(cell)))
    assert cell.chosen.tolist() == USEFUL


@pytest.mark.parametrize('kept', [{0, 1}, {0, 2}, {1, 2}])
def test_a_node_keeps_the_edges_whose_removal_hurts_most(kept):
    cell = small_cell()
    for edge in range(5):
        cell.choose(edge, 0)
    worth = {(source, 3): 1.0 + source if source in kept else 0.1 for source in range(3)}
    PerturbationSelection().decide(cell, Decision('edges', 3, 3), lambda: Score(reward_edges(cell, worth), 0.0))
    assert {edge.source for edge in cell.to_policy().edges if edge.target == 3} == kept


@pytest.mark.parametrize(('edges_per_node', 'degrees'), [(1, [1, 1]), (2, [2, 2]), (3, [2, 3])])
def test_nodes_keep_the_wanted_number_of_edges(edges_per_node, degrees):
    for selection in (
        PerturbationSelection(edges_per_node=edges_per_node),
        ArgmaxSelection(edges_per_node=edges_per_node),
    ):
        cell = small_cell()
        decide_all(selection, cell, lambda: Score(0.0, 0.0))
        targets = [edge.target for edge in cell.to_policy().edges]
        assert [targets.count(2), targets.count(3)] == degrees


def test_every_trial_is_an_evaluation_that_the_decision_has_announced():
    cell, selection = small_cell(), PerturbationSelection()
    for decision in selection.decisions(cell):
        calls = []
        selection.decide(cell, decision, lambda calls=calls: calls.append(0) or Score(0.0, 0.0))
        assert len(calls) == decision.trials


def test_the_log_says_how_far_the_trials_lie_apart():
    cell = small_cell()
    scores = iter([Score(3.0, -1.0), Score(1.0, -4.0), Score(9.0, -0.5), Score(2.0, -2.0), Score(2.0, -2.5)])
    log = PerturbationSelection().decide(cell, Decision('operation', 0, 5), lambda: next(scores))
    assert log == {'selection_quality_spread': 8.0, 'selection_loss_spread': 3.5}
    assert cell.chosen[0] == 1


def test_a_trial_leaves_the_cell_as_it_was_before():
    cell = small_cell()
    weights = cell.weights().detach().clone()
    PerturbationSelection._trials([cell.without_operation(0, column) for column in range(5)], lambda: Score(0.0, 0.0))
    assert torch.equal(cell.weights(), weights)


def test_argmax_keeps_the_largest_logits_and_the_edges_of_the_largest_weights():
    cell = small_cell()
    with torch.no_grad():
        cell.logits.zero_()
        for edge, (operation, logit) in enumerate(zip(USEFUL, [1.0, 1.0, 3.0, 1.0, 2.0], strict=True)):
            cell.logits[edge, operation] = logit
    log = ArgmaxSelection().decide(cell, Decision('all', 0, 0), pytest.fail)
    assert cell.chosen.tolist() == USEFUL
    assert cell.kept.tolist() == [True, True, True, False, True]
    largest = torch.tensor([1.0, 1.0, 3.0, 1.0, 2.0]).exp()
    assert log['selection_mean_weight'] == pytest.approx((largest / (largest + 4)).mean().item())


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        (PerturbationSelection, dict(num_batches=0)),
        (PerturbationSelection, dict(tune=-1)),
        (ArgmaxSelection, dict(edges_per_node=0)),
    ],
)
def test_an_unusable_option_is_refused(kind, options):
    with pytest.raises(ValueError, match='num_batches|tune|edges_per_node'):
        kind(**options)


def test_only_the_ablation_without_training_leaves_the_logits_out():
    assert [kind.trains_policy for kind in (PerturbationSelection, ArgmaxSelection, BlankSelection)] == [
        True,
        True,
        False,
    ]


@TASK_UTILS.register_module()
class FirstOperation(BaseSelection):
    """A selection of a user's own file."""

    def decisions(self, cell: DASCell) -> list[Decision]:
        return [Decision('all', 0, 0)]

    def decide(self, cell: DASCell, decision: Decision, evaluate: Callable[[], Score]) -> dict[str, float]:
        for edge in range(len(cell.edges)):
            cell.choose(edge, 0)
        return {}


@pytest.mark.slow
def test_a_selection_of_ones_own_decides(tmp_path):
    runner = run(windmill_search(tmp_path, dict(type='mmengine.FirstOperation')))
    assert set(operations(runner)) == {'identity'}
    assert json.loads((tmp_path / 'policy.json').read_text())['origin']['selection'] == 'FirstOperation'


# a task that only a rotation solves


@pytest.fixture(scope='module')
def searched(tmp_path_factory) -> Runner:
    return run(windmill_search(tmp_path_factory.mktemp('windmills'), PERTURBATION))


def accuracy(runner: Runner) -> float:
    """Accuracy on the held-out part with the cell as it stands, in percent."""
    loop = runner.train_loop
    return loop.trials.score([next(loop.policy_batches) for _ in range(2)]).quality


def operations(runner: Runner) -> list[str]:
    return [edge['operation'] for edge in read_policy(runner)['edges']]


def test_the_search_finds_the_operation_that_the_task_needs(searched):
    assert operations(searched) == ['rotate', 'rotate']
    assert [edge['strength'] for edge in read_policy(searched)['edges']] == [STEP, STEP]
    assert accuracy(searched) == 100


def test_the_task_cannot_be_solved_without_it(searched, tmp_path):
    runner = prepare(windmill_search(tmp_path, PERTURBATION))
    cell = runner.model.data_preprocessor.cell
    for operation, name in enumerate(op.name for op in cell.operations):
        cell.choose(0, operation)
        cell.choose(1, operation)
        assert accuracy(runner) == (100 if name == 'rotate' else 0)


def test_the_search_lowers_the_held_out_loss(searched):
    losses = searched.message_hub.get_scalar('train/policy_loss').data[0]
    assert losses[-1] < 0.3 * losses[0]


def test_the_search_moves_the_mixtures_to_the_useful_operation(searched):
    weights = searched.model.data_preprocessor.cell.logits.softmax(dim=1)
    assert weights[:, 3].min() > 0.7  # from 0.2


@pytest.mark.parametrize('kind', ['ArgmaxSelection', 'BlankSelection'])
@pytest.mark.slow
def test_the_ablations_find_it_too(tmp_path, kind):
    config = windmill_search(tmp_path, dict(type=f'mmdas.{kind}'))
    start = prepare(config).model.data_preprocessor.cell.logits.detach().clone()
    runner = run(config)
    assert operations(runner) == ['rotate', 'rotate']
    trained = not torch.equal(runner.model.data_preprocessor.cell.logits, start)
    assert trained == (kind == 'ArgmaxSelection')


def test_perturbation_judges_by_the_task_and_not_by_the_weight(tmp_path):
    runner = prepare(windmill_search(tmp_path, PERTURBATION))
    loop, cell = runner.train_loop, runner.model.data_preprocessor.cell
    batches = [next(loop.policy_batches) for _ in range(2)]
    with torch.no_grad():
        cell.logits[:, 4] = 1.5  # scale, which changes no class, outweighs the rotation
    decide_all(loop.selection, cell, lambda: loop.trials.score(batches))
    assert [cell.operations[chosen].name for chosen in cell.chosen] == ['rotate', 'rotate']


@pytest.mark.parametrize('useless', [2, 3, 4])
def test_a_node_drops_the_edge_that_the_task_does_not_need(tmp_path, useless):
    runner = prepare(windmill_search(tmp_path, PERTURBATION, num_nodes=2))
    loop, cell = runner.train_loop, runner.model.data_preprocessor.cell
    for edge in (0, 1):
        cell.choose(edge, 0)  # node 2 holds the image
    for edge in (2, 3, 4):
        cell.choose(edge, 0 if edge == useless else 3)
    batches = [next(loop.policy_batches) for _ in range(2)]
    loop.selection.decide(cell, Decision('edges', 3, 3), lambda: loop.trials.score(batches))
    assert [edge for edge in (2, 3, 4) if not cell.kept[edge]] == [useless]
