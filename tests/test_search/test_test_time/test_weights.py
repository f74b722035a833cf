"""Weights and views against searches by brute force."""

import itertools

import pytest
import torch
from torch import Tensor

from mmdas.search.test_time import ChosenViews, choose_views, fit_weights, mixture_likelihood


def make_table(seed: int, views: int = 5, samples: int = 60, hidden: bool = False) -> tuple[Tensor, Tensor]:
    """Cached probabilities of the true class, and which samples a view shows; the first view shows all."""
    generator = torch.Generator().manual_seed(seed)
    easy = torch.rand(1, samples, generator=generator)
    own = torch.rand(views, samples, generator=generator)
    probabilities = (0.5 * easy + 0.5 * own) ** (1 + torch.rand(views, 1, generator=generator))
    seen = torch.ones(views, samples)
    if hidden:
        seen[1:] = (torch.rand(views - 1, samples, generator=generator) > 0.3).float()
    return probabilities, seen


def by_brute_force(probabilities: Tensor, seen: Tensor, steps: int = 50) -> tuple[Tensor, float]:
    """Best weights of three views on a grid, and their likelihood, sample after sample."""
    best = (torch.zeros(3), -float('inf'))
    for first in range(steps + 1):
        for second in range(steps + 1 - first):
            weights = torch.tensor([first, second, steps - first - second]).double() / steps
            weights[0] = weights[0].clamp(min=1e-3)  # it alone shows all
            logs = []
            for column in range(probabilities.shape[1]):
                votes = [float(w * s) for w, s in zip(weights, seen[:, column], strict=True)]
                mean = sum(v * float(p) for v, p in zip(votes, probabilities[:, column], strict=True)) / sum(votes)
                logs.append(torch.tensor(mean).clamp(min=1e-6).log())
            value = float(torch.stack(logs).mean())
            if value > best[1]:
                best = (weights, value)
    return best


@pytest.mark.parametrize('hidden', [False, True])
@pytest.mark.parametrize('seed', range(3))
def test_weights_are_those_of_a_brute_force(seed: int, hidden: bool):
    table = make_table(seed, views=3, samples=12, hidden=hidden)
    weights, likelihood = fit_weights(*table)
    expected, value = by_brute_force(*table)
    assert value - 2e-4 <= float(likelihood) <= value + 0.01  # weights of 0 are approached slowly; a grid is coarse
    assert float((weights - expected).abs().max()) < 0.06
    assert float(mixture_likelihood(expected.float(), *table)) == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize('hidden', [False, True])
def test_no_step_lowers_the_likelihood(hidden: bool):
    table = make_table(7, views=6, hidden=hidden)
    values = [float(fit_weights(*table, steps=steps)[1]) for steps in range(0, 60, 3)]
    assert all(after >= before - 1e-6 for before, after in itertools.pairwise(values))
    assert values[-1] > values[0] + 0.005


def best_of_all_sets(table: tuple[Tensor, Tensor], max_views: int, price: float) -> tuple[float, tuple[int, ...]]:
    whole = table[1].bool().all(-1).tolist()
    sets = [
        places
        for count in range(1, max_views + 1)
        for places in itertools.combinations(range(len(table[0])), count)
        if any(whole[place] for place in places)
    ]
    values = [float(fit_weights(table[0][list(s)], table[1][list(s)])[1]) - price * (len(s) - 1) for s in sets]
    best = max(range(len(sets)), key=values.__getitem__)
    return values[best], sets[best]


@pytest.mark.parametrize('hidden', [False, True])
@pytest.mark.parametrize('price', [0.0, 0.01, 0.05])
@pytest.mark.parametrize('seed', range(4))
def test_chosen_set_is_worth_as_much_as_the_best_of_all_sets(seed: int, price: float, hidden: bool):
    table = make_table(seed, hidden=hidden)
    found = choose_views(*table, max_views=3, price=price)
    value, _ = best_of_all_sets(table, 3, price)
    assert found.likelihood - price * (len(found.places) - 1) == pytest.approx(value, abs=2e-3)
    assert len(found.places) <= 3
    assert sum(found.weights) == pytest.approx(1)


def test_price_leaves_fewer_views_and_a_high_one_the_best_alone():
    table = make_table(3, views=8)
    counts = [len(choose_views(*table, max_views=8, price=price).places) for price in (0.0, 0.02, 1.0)]
    assert counts[0] > counts[1] >= counts[2] == 1
    (best,) = choose_views(*table, max_views=8, price=1.0).places
    assert best == int(table[0].clamp(min=1e-6).log().mean(-1).argmax())


def test_a_set_keeps_a_view_that_shows_everything():
    probabilities, seen = make_table(0, hidden=True)
    probabilities[0] = 0.01  # the one that shows all is the worst
    found = choose_views(probabilities, seen, max_views=2, price=0.0)
    assert 0 in found.places


def test_useless_views_change_nothing():
    probabilities = torch.full((4, 30), 0.2)
    probabilities[0] = 0.9
    assert choose_views(probabilities, torch.ones(4, 30), 4, 0.0).places == (0,)


def test_no_sample_is_refused():
    with pytest.raises(ValueError, match='0 samples'):
        choose_views(torch.zeros(3, 0), torch.zeros(3, 0), 2, 0.0)
    with pytest.raises(ValueError, match='max_views'):
        choose_views(*make_table(0), max_views=0, price=0.0)


def test_many_sets_are_fitted_as_each_alone():
    table = make_table(1, views=6, hidden=True)
    sets = [[0, 1, 2], [0, 3, 5]]
    together = fit_weights(table[0][torch.tensor(sets)], table[1][torch.tensor(sets)])
    for row, one in enumerate(sets):
        alone = fit_weights(table[0][one], table[1][one])
        torch.testing.assert_close(together[0][row], alone[0])
        torch.testing.assert_close(together[1][row], alone[1])


def test_result_is_plain_data():
    found = choose_views(*make_table(0), max_views=3, price=0.0)
    assert isinstance(found, ChosenViews)
    assert all(type(place) is int for place in found.places)
    assert all(type(weight) is float for weight in found.weights)
