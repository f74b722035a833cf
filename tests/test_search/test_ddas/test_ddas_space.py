"""What DDAS searches, and its search space."""

import math

import pytest
import torch

from mmdas.search.augmentation import AUGMENT_OPERATIONS, AugmentPolicy, Canvas
from mmdas.search.ddas import DDASSearch, ddas_space, uniform_policy


def test_the_space_has_the_published_sizes():
    assert len(ddas_space()) == 52
    assert len(ddas_space((7, 14))) == 30
    assert len(set(ddas_space())) < 52  # levels beyond a range are cut off at its end


def test_every_level_lies_in_the_range_of_its_operation():
    for choice in ddas_space():
        operation = AUGMENT_OPERATIONS[choice.operation]
        if operation.has_magnitude:
            assert operation.low <= choice.magnitude <= operation.high, choice


@pytest.mark.parametrize(
    ('name', 'magnitudes'),
    [
        ('rotate', [0, 6, 30, 42]),
        ('solarize', [0, 0.2, 1, 1]),
        ('posterize', [4, 4, 7, 7]),
        ('contrast', [-0.9, -0.54, 0.9, 1.62]),
        ('translate_x', [0, 2 / 32, 10 / 32, 14 / 32]),
    ],
)
def test_levels_are_bound_to_their_operations(name, magnitudes):
    found = [choice.magnitude for choice in ddas_space() if choice.operation == name]
    assert found == pytest.approx(magnitudes)


def test_a_new_search_is_uniform_and_augments_a_third():
    search = DDASSearch()
    torch.testing.assert_close(search.distribution, torch.full((52,), 1 / 52))
    assert float(search.probability) == pytest.approx(0.35)
    assert search.report()['evenness'] == pytest.approx(1.0)


def test_probability_of_a_sequence_is_the_product_of_its_operations():
    search = DDASSearch()
    with torch.no_grad():
        search.logits.normal_()
    pairs = torch.tensor([[0, 3], [51, 51]])
    shares = search.logits.exp() / search.logits.exp().sum()
    torch.testing.assert_close(
        search.sequence_probabilities(pairs), torch.stack([shares[0] * shares[3], shares[51] ** 2])
    )


@pytest.mark.parametrize('exploration', [0.0, 1.0])
def test_sequences_are_drawn_from_the_distribution_or_uniformly(exploration):
    torch.manual_seed(0)
    search = DDASSearch(exploration=exploration)
    with torch.no_grad():
        search.logits[5] = 4.0
    drawn = torch.bincount(search.draw_sequences(20_000).flatten(), minlength=52) / 40_000
    expected = search.distribution.detach() if exploration == 0 else torch.full((52,), 1 / 52)
    assert (drawn - expected).abs().max() < 0.01


def test_images_draw_for_themselves_with_the_learned_probability():
    torch.manual_seed(0)
    search = DDASSearch(probability=0.25)
    with torch.no_grad():
        search.logits[[choice.operation for choice in search.choices].index('invert')] = 50.0
    images = torch.rand(4000, 1, 2, 2)
    made, _ = search(images, None, Canvas())
    changed = (made != images).flatten(1).any(1)
    assert changed.sum() == 0  # two inversions are none
    with search.only([5]):
        inverted, _ = search(images, None, Canvas())
    torch.testing.assert_close(inverted, 1 - images)
    with search.without():
        assert search.augment(images, None, Canvas())[0] is images
    with torch.no_grad():
        search.logits.zero_()
        search.logits[1] = 50.0  # flips, twice: none; so let a flip be followed by another
    drawn = search._own(4000)
    assert float((drawn.indices[:, 0] >= 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert torch.equal(drawn.indices[:, 0] >= 0, drawn.indices[:, 1] >= 0)


def test_the_trajectory_holds_what_was_at_the_end_of_each_part():
    search = DDASSearch(points=4)
    for step in range(1, 11):
        with torch.no_grad():
            search.probability_logit.fill_(step)
        search.note_progress(step / 10)
    policy = search.to_policy({'seed': 3})
    expected = [1 / (1 + math.exp(-step)) for step in (3, 5, 8, 10)]
    assert [point.probability for point in policy.trajectory] == pytest.approx(expected, abs=1e-7)
    assert policy.origin == {'method': 'DDAS', 'seed': 3}


def test_state_of_a_search_holds_its_trajectory():
    search, other = DDASSearch(points=4), DDASSearch(points=4)
    search.note_progress(0.5)
    other.load_state_dict(search.state_dict())
    for module in (search, other):
        module.note_progress(1.0)
    assert search.to_policy() == other.to_policy()
    assert len(search.to_policy().trajectory) == 4


def test_its_policy_survives_the_file(tmp_path):
    search = DDASSearch()
    with torch.no_grad():
        search.logits.normal_()
    search.note_progress(1.0)
    search.to_policy().save(tmp_path / 'policy.json')
    assert AugmentPolicy.load(tmp_path / 'policy.json') == search.to_policy()


def test_the_uniform_control_goes_from_one_probability_to_the_other():
    policy = uniform_policy()
    assert [policy.at(progress).probability for progress in (0, 1)] == [0.35, 0.21]
    weights = {choice.weight for choice in policy.at(0.4).choices()}
    assert len(weights) == 1
    assert len(policy.trajectory) == 20


@pytest.mark.parametrize(
    'options', [dict(probability=0.0), dict(exploration=2.0), dict(points=0), dict(levels=()), dict(levels=(-1,))]
)
def test_a_search_without_meaning_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DDASSearch(**options)
