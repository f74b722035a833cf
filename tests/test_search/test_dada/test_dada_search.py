"""The draws of DADA, their augmentation, the gradient of the magnitudes and the policy."""

import math
from dataclasses import replace

import pytest
import torch
from hard_augmentation import all_signs, check_one_of, scene

from mmdas.search.augmentation import AugmentPolicy, Canvas
from mmdas.search.dada import DADA_OPERATIONS, PAIRS, DADASearch, PairDraw

NAMES = [entry.name for entry in DADA_OPERATIONS]


def spread(share: float = 0.8) -> DADASearch:
    """A search whose parameters are unlike one another, with magnitudes at a share of their ranges."""
    search = DADASearch()
    with torch.no_grad():
        search.pair_logits.normal_()
        search.probability_logits.normal_()
        search.magnitude_logits.fill_(math.log(share / (1 - share)))
    return search


def draw_of(search: DADASearch, pair: int, applied: tuple[int, int]) -> PairDraw:
    bits = torch.zeros(len(PAIRS), 2)
    bits[pair] = torch.tensor(applied, dtype=torch.float32)
    return replace(search.draw(), pair=pair, applied=bits)


def test_pairs_are_all_of_two_operations() -> None:
    assert len(NAMES) == len(set(NAMES)) == 15
    assert len(PAIRS) == len({frozenset(pair) for pair in PAIRS if pair[0] != pair[1]}) == 105


@pytest.mark.parametrize('with_labels', [False, True])
@pytest.mark.parametrize('applied', [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_a_draw_gives_the_augmentation_of_trainings(applied: tuple[int, int], with_labels: bool) -> None:
    search = spread()
    images, labels = scene()
    policy = search.to_policy()
    for pair in range(0, len(PAIRS), 4):
        if 'cutout' in [NAMES[place] for place in PAIRS[pair]]:
            continue  # which draws places of its own
        with search.only(draw_of(search, pair, applied)):
            changed, moved = search(images, labels if with_labels else None, Canvas())
        stages = policy.sub_policies[pair].stages
        choices = [stage.choices[0] for stage, used in zip(stages, applied, strict=True) if used]
        check_one_of(changed.detach(), moved, all_signs(images, labels if with_labels else None, choices))


def test_magnitudes_of_what_is_applied_learn_straight_through() -> None:
    search = spread()
    images, _ = scene()
    factors = torch.rand(images.shape)
    pair = PAIRS.index((NAMES.index('solarize'), NAMES.index('contrast')))
    for applied in ((1, 1), (1, 0), (0, 1)):
        search.zero_grad()
        with search.only(draw_of(search, pair, applied)):
            (search(images, None, Canvas())[0] * factors).sum().backward()
        expected = torch.zeros(len(PAIRS), 2)
        expected[pair] = torch.tensor(applied) * factors.sum() * 0.8 * 0.2  # the slope of the sigmoid
        torch.testing.assert_close(search.magnitude_logits.grad, expected, rtol=1e-3, atol=1e-5)


def test_an_operation_without_a_magnitude_learns_none() -> None:
    search = spread()
    pair = PAIRS.index((NAMES.index('auto_contrast'), NAMES.index('invert')))
    with search.only(draw_of(search, pair, (1, 1))):
        assert not search(*scene(), Canvas())[0].requires_grad


def test_draws_come_with_the_logarithm_of_their_probability() -> None:
    search = spread()
    for _ in range(20):
        draw = search.draw()
        chances = torch.where(draw.applied > 0, search.probabilities, 1 - search.probabilities)
        expected = search.distribution[draw.pair].log() + chances.log().sum()
        torch.testing.assert_close(draw.log_probability, expected)


def test_each_parameter_of_the_distribution_is_in_a_draw() -> None:
    search = spread()
    draw = search.draw()
    assert draw.relaxed.shape == draw.given.shape == (315,)
    factors = torch.rand(315)
    for value in ((draw.relaxed * factors).sum(), (draw.given * factors).sum(), draw.log_probability):
        for gradient in torch.autograd.grad(value, search.drawn_parameters, retain_graph=True):
            assert (gradient != 0).float().mean() > 0.95  # few draws are so far out that their slope vanishes


def test_without_a_draw_a_batch_makes_its_own() -> None:
    search = spread()
    images, _ = scene()
    found = {search(images, None, Canvas())[0].sum().item() for _ in range(10)}
    assert len(found) > 3


def test_the_policy_says_what_the_module_holds() -> None:
    search = spread()
    policy = AugmentPolicy.from_dict(search.to_policy({'seed': 3, 'method': 'search'}).to_dict())
    assert (policy.origin['method'], policy.origin['seed']) == ('DADA', 3)
    weights = torch.tensor([sub.weight for sub in policy.sub_policies])
    torch.testing.assert_close(weights, search.pair_logits.softmax(dim=0).detach(), rtol=1e-5, atol=1e-7)
    for pair, sub, chances in zip(PAIRS, policy.sub_policies, search.probabilities.tolist(), strict=True):
        for stage, place, chance in zip(sub.stages, pair, chances, strict=True):
            (choice,), entry = stage.choices, DADA_OPERATIONS[place]
            assert choice.operation == entry.name
            assert choice.probability == pytest.approx(chance, abs=1e-6)
            expected = entry.first + (entry.last - entry.first) * 0.8 if entry.learns else 0.0
            assert choice.magnitude == pytest.approx(expected, abs=1e-5)


def test_what_is_shown_sums_to_one() -> None:
    report = spread().report()
    assert sum(value for name, value in report.items() if name.startswith('share/')) == pytest.approx(1)
    assert 0 < report['evenness'] < 1
    assert DADASearch().report()['evenness'] == pytest.approx(1)


def test_a_temperature_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match='DADASearch.temperature must be positive, got 0'):
        DADASearch(temperature=0)
