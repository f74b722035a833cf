"""Successive halving: its plan keeps to the time, and its verdict to the noise."""

import random
from statistics import fmean

import numpy as np
import pytest

from mmdas.search.halving import Cost, Rung, final_length, make_rungs, seconds_of, standings, survivors


@pytest.mark.parametrize('methods', range(1, 12))
@pytest.mark.parametrize('finalists', [1, 2, 4])
def test_rungs_begin_with_all_methods_and_end_with_the_finalists(methods, finalists):
    *short, final = make_rungs(methods, finalists, seeds=3)
    sizes = [rung.size for rung in short]
    assert sizes[0] == methods
    assert final == Rung(min(methods, finalists + 1), 1.0, 2, first=1)
    assert all(before > after for before, after in zip(sizes, sizes[1:], strict=False))
    assert [rung.part for rung in reversed(short)] == [0.5**place for place in range(len(short))]
    assert [rung.seeds for rung in short] == [1] * len(short)


@pytest.mark.parametrize(
    ('methods', 'seeds', 'sizes'),
    [(4, 2, [4, 3]), (7, 2, [7, 3]), (12, 2, [12, 3]), (7, 1, [7]), (16, 2, [16, 8, 4, 3]), (24, 2, [24, 12, 6, 3, 3])],
)
def test_rungs_are_short_only_where_that_saves_much(methods, seeds, sizes):
    """Costs by hand, in trainings of the final's length: 16 methods take 16 + 3, 8 + 8 + 3, 4 + 4 + 4 + 3 or 12."""
    rungs = make_rungs(methods, 2, seeds)
    assert [rung.size for rung in rungs] == sizes
    if methods == 16:
        assert [rung.cost for rung in rungs] == [4, 4, 4, 3]


@pytest.mark.parametrize('name', ['methods', 'finalists', 'seeds'])
def test_a_number_below_one_is_named(name):
    with pytest.raises(ValueError, match=f'{name} must be at least 1, got 0'):
        make_rungs(**{**{'methods': 4, 'finalists': 2, 'seeds': 2}, name: 0})


def test_the_final_is_the_longest_that_fits():
    """Against trying all lengths."""
    draw = random.Random(0)
    for _ in range(200):
        costs = [Cost(draw.uniform(0, 9), draw.uniform(0.1, 5)) for _ in range(draw.randint(1, 8))]
        rungs = make_rungs(len(costs), draw.randint(1, 3), draw.randint(1, 3))
        seconds, longest, processes = draw.uniform(1, 900), draw.randint(1, 60), draw.randint(1, 3)
        fitting = [length for length in range(1, longest + 1) if seconds_of(rungs, costs, length, processes) <= seconds]
        assert final_length(rungs, costs, seconds, longest, processes) == max(fitting, default=1)


def test_no_choice_of_survivors_takes_longer_than_the_plan():
    draw = random.Random(1)
    costs = {name: Cost(draw.uniform(0, 9), draw.uniform(0.1, 5)) for name in 'abcdefg'}
    rungs = make_rungs(len(costs), 2, 2)
    planned = seconds_of(rungs, costs.values(), 20)
    for _ in range(100):
        left, spent = list(costs), 0.0
        for place, rung in enumerate(rungs):
            spent += sum(rung.seeds * costs[name].seconds(rung.length(20)) for name in left)
            if place + 1 < len(rungs):
                left = survivors({name: draw.random() for name in left}, rungs[place + 1].size, 'a')
        assert spent <= planned + 1e-9


def test_trainings_side_by_side_take_no_less_than_the_longest():
    costs = [Cost(0, 1.0), Cost(0, 10.0)]
    rung = [Rung(2, 1.0, 1)]
    assert seconds_of(rung, costs, 5) == 55
    assert seconds_of(rung, costs, 5, processes=2) == 50


def test_the_best_survive_and_the_baseline_always():
    scores = {'plain': 0.0, 'a': 3.0, 'b': 9.0, 'c': 5.0, 'd': 5.0}
    assert survivors(scores, 3, 'plain') == ['b', 'c', 'plain']
    assert survivors({**scores, 'plain': 10.0}, 2, 'plain') == ['plain', 'b']
    assert survivors(scores, 9, 'plain') == ['b', 'c', 'd', 'a', 'plain']


@pytest.mark.slow
def test_the_error_of_a_difference_is_its_spread_over_repetitions():
    generator = np.random.default_rng(0)
    found = []
    for _ in range(1000):
        scores = generator.normal([[50.0], [49.0], [20.0]], 1.7, (3, 3))
        found.append(standings({name: dict(enumerate(own)) for name, own in zip('abc', scores, strict=True)}))
    squared = fmean(next(one.error for one in table if one.behind) ** 2 for table in found)
    differences = generator.normal(0, 1.7, (100_000, 2, 3)).mean(2)
    assert squared == pytest.approx(np.var(differences[:, 0] - differences[:, 1]), rel=0.06)
    assert not any(one.is_level for table in found for one in table if one.name == 'c')
    level = [all(one.is_level for one in table if one.name in 'ab') for table in found]
    assert 0.6 < fmean(level) < 1  # a lead of 0.7 standard errors


def test_a_single_seed_says_nothing_of_noise():
    best, other = standings({'a': {0: 1.0}, 'b': {0: 1.0001}})
    assert (best.name, best.behind, best.is_level) == ('b', 0, True)
    assert other.error is None
    assert not other.is_level


def test_methods_are_compared_on_the_seeds_that_all_have():
    found = standings({'a': {0: 5.0, 1: 0.0}, 'b': {0: 4.0}, 'c': {}})
    assert [(one.name, one.scores) for one in found] == [('a', (5.0,)), ('b', (4.0,))]
    assert standings({'a': {}}) == []
