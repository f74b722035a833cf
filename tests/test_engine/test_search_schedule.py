from itertools import accumulate, groupby

import pytest

from mmdas.engine.runner.search_schedule import PHASES, Round, SearchSchedule
from mmdas.engine.selection import Decision, PerturbationSelection
from mmdas.search.das import DASCell

BATCHES_PER_DECISION = 4


def make_schedule(warmup: int = 3, policy: int = 5, tune: int = 2, image: int = 0) -> SearchSchedule:
    rounds = [Round('image', image), Round('weights', warmup), Round('policy', policy)]
    for edge in range(3):
        rounds += [Round('selection', 1, Decision('operation', edge, trials=5)), Round('tuning', tune)]
    return SearchSchedule(rounds, BATCHES_PER_DECISION, num_frames=4)


def phases(schedule: SearchSchedule) -> list[str]:
    return [schedule.round_at(iteration).phase for iteration in range(len(schedule))]


def test_rounds_follow_each_other_with_their_lengths():
    runs = [(phase, len(list(group))) for phase, group in groupby(phases(make_schedule()))]
    assert runs == [('weights', 3), ('policy', 5)] + 3 * [('selection', 1), ('tuning', 2)]


def test_every_phase_has_a_name_that_is_documented():
    assert set(phases(make_schedule(image=1))) == set(PHASES)


@pytest.mark.parametrize(('warmup', 'policy', 'tune'), [(0, 5, 0), (3, 0, 1), (0, 0, 0)])
def test_empty_rounds_are_left_out(warmup, policy, tune):
    schedule = make_schedule(warmup, policy, tune)
    assert all(entry.length > 0 for entry in schedule.rounds)
    assert len(schedule) == warmup + policy + 3 * (1 + tune)


def test_batches_before_an_iteration_equal_a_count_step_by_step():
    schedule = make_schedule()
    used = {'weights': (1, 0), 'policy': (1, 1), 'selection': (0, BATCHES_PER_DECISION), 'tuning': (1, 0)}
    weights = [0, *accumulate(used[phase][0] for phase in phases(schedule))]
    policy = [0, *accumulate(used[phase][1] for phase in phases(schedule))]
    assert [schedule.batches_before(i) for i in range(len(schedule) + 1)] == list(zip(weights, policy, strict=True))


@pytest.mark.parametrize('batches', [0, BATCHES_PER_DECISION])
def test_every_iteration_adds_to_the_passes(batches):
    schedule = SearchSchedule(make_schedule().rounds, batches)  # selection by argmax evaluates on no batch
    passes = [schedule.passes_before(iteration) for iteration in range(len(schedule) + 1)]
    assert passes[0] == 0
    assert all(before < after for before, after in zip(passes, passes[1:], strict=False))


def test_a_decision_costs_as_many_forward_passes_as_it_has_trials_and_batches():
    schedule = make_schedule()
    first_decision = phases(schedule).index('selection')
    cost = schedule.passes_before(first_decision + 1) - schedule.passes_before(first_decision)
    assert cost == pytest.approx(5 * BATCHES_PER_DECISION / 3)


def test_an_iteration_of_both_costs_the_passes_of_its_step():
    schedule = SearchSchedule(make_schedule().rounds, BATCHES_PER_DECISION, policy_passes=5.0)
    costs = [schedule.passes_before(iteration + 1) - schedule.passes_before(iteration) for iteration in range(8)]
    assert costs == [1.0] * 3 + [5.0] * 5


def test_an_iteration_on_the_image_costs_one_frame_of_the_clip_and_takes_a_batch_of_weights():
    schedule = make_schedule(image=3)
    assert [schedule.passes_before(iteration) for iteration in range(6)] == [0, 0.25, 0.5, 0.75, 1.75, 2.75]
    assert schedule.batches_before(3) == (3, 0)


def test_rounds_end_where_the_next_ones_begin():
    schedule = make_schedule()
    ends = [schedule.end_of_round(index) for index in range(len(schedule.rounds))]
    assert ends[-1] == len(schedule)
    assert [schedule.round_at(end) for end in ends[:-1]] == schedule.rounds[1:]


def test_perturbation_decides_every_edge_once_and_then_the_nodes_with_too_many():
    cell = DASCell(num_frames=2)
    decisions = PerturbationSelection(seed=1).decisions(cell)
    operations, edges = decisions[:14], decisions[14:]
    assert sorted(entry.index for entry in operations) == list(range(14))
    assert [entry.index for entry in operations] != list(range(14))
    assert [(entry.kind, entry.index, entry.trials) for entry in edges] == [
        ('edges', 3, 3),
        ('edges', 4, 4),
        ('edges', 5, 5),
    ]


@pytest.mark.parametrize('interval', [1, 2, 3, 5])
def test_batches_and_passes_of_every_interval_equal_a_count_step_by_step(interval):
    rounds = [Round('weights', 3), Round('policy', 4), Round('policy', 7), Round('tuning', 5)]
    schedule = SearchSchedule(rounds, 0, policy_passes=5.0, policy_interval=interval)
    steps = [schedule.steps_policy(iteration) for iteration in range(len(schedule))]
    assert steps == [
        phase == 'policy' and (iteration + 1) % interval == 0 for iteration, phase in enumerate(phases(schedule))
    ]
    assert schedule.policy_steps() == sum(steps)
    counted = list(zip(range(len(steps) + 1), [0, *accumulate(steps)], strict=True))
    assert [schedule.batches_before(i) for i in range(len(steps) + 1)] == counted
    assert [schedule.passes_before(i) for i in range(len(steps) + 1)] == [done + 4 * policy for done, policy in counted]


@pytest.mark.parametrize('end', [3, 5, 8])
def test_a_policy_phase_that_ends_early_leaves_all_that_was_done_and_what_follows_it(end):
    plan = make_schedule()
    schedule = plan.without_policy_phase_after(end)
    assert phases(schedule) == phases(plan)[:end] + phases(plan)[8:]
    assert [schedule.batches_before(i) for i in range(end + 1)] == [plan.batches_before(i) for i in range(end + 1)]
