"""Draws have the frequencies that a policy says."""

import pytest
import torch
from augment_images import random_images, random_labels

from mmdas.search.augmentation import (
    Augmentation,
    AugmentPolicy,
    Choice,
    PolicySampler,
    Stage,
    SubPolicy,
    TrajectoryPoint,
    apply_drawn,
)

COUNT = 20_000


def draw(policy: AugmentPolicy, seed: int = 0):
    return PolicySampler(policy)(COUNT, torch.Generator().manual_seed(seed))


def one_stage(*choices: Choice, repeat: int = 1, **options) -> AugmentPolicy:
    return AugmentPolicy((SubPolicy((Stage(choices, repeat),)),), **options)


def assert_frequencies(counts: torch.Tensor, expected: list[float]) -> None:
    """Chi-square below its quantile of about 1 in 100,000."""
    shares = torch.tensor(expected, dtype=torch.float64) / sum(expected) * counts.sum()
    statistic = ((counts - shares) ** 2 / shares).sum()
    freedom = len(expected) - 1
    assert statistic < freedom + 4.5 * (2 * freedom) ** 0.5 + 12, (counts, shares)


def test_choices_are_drawn_by_their_weights_in_every_repeat() -> None:
    weights = [1.0, 2.0, 0.5, 4.0]
    names = ['invert', 'equalize', 'blur', 'smooth']
    policy = one_stage(*(Choice(n, weight=w) for n, w in zip(names, weights, strict=True)), repeat=2)
    drawn = draw(policy)
    assert drawn.operations == tuple(names)
    for slot in range(2):
        assert_frequencies(drawn.indices[:, slot].bincount(minlength=4), weights)
    pairs = (drawn.indices[:, 0] * 4 + drawn.indices[:, 1]).bincount(minlength=16)
    assert_frequencies(pairs, [a * b for a in weights for b in weights])  # with replacement, independent


def test_a_choice_of_weight_zero_is_never_drawn() -> None:
    drawn = draw(one_stage(Choice('invert', weight=0), Choice('blur')))
    assert (drawn.indices == 1).all()


def test_sub_policies_are_drawn_by_their_weights_and_shorter_ones_leave_slots_free() -> None:
    subs = (
        SubPolicy((Stage((Choice('invert'),)), Stage((Choice('blur'),))), weight=3),
        SubPolicy((Stage((Choice('smooth'),)),), weight=1),
    )
    drawn = draw(AugmentPolicy(subs))
    first = drawn.indices[:, 0]
    assert_frequencies(first.bincount(minlength=3)[[0, 2]], [3, 1])
    assert torch.equal(drawn.indices[:, 1], torch.where(first == 0, 1, -1))


@pytest.mark.parametrize('probability', [0.0, 0.3, 1.0])
def test_a_choice_is_applied_with_its_probability(probability: float) -> None:
    applied = (draw(one_stage(Choice('invert', probability=probability), repeat=2)).indices >= 0).float()
    assert abs(applied.mean() - probability) < 0.015
    both = (applied.prod(1)).mean()
    assert abs(both - probability**2) < 0.015  # each slot for itself


def test_the_probability_of_the_policy_holds_for_the_whole_image() -> None:
    applied = draw(one_stage(Choice('invert'), repeat=3, probability=0.35)).indices >= 0
    assert torch.equal(applied.any(1), applied.all(1))
    assert abs(applied.float().mean() - 0.35) < 0.02


def test_magnitudes_are_uniform_between_their_bounds() -> None:
    magnitudes = draw(one_stage(Choice('rotate', (-10.0, 30.0)))).magnitudes.flatten()
    assert magnitudes.min() >= -10 and magnitudes.max() <= 30
    assert_frequencies(((magnitudes + 10) / 4).long().clamp(max=9).bincount(minlength=10), [1.0] * 10)


def test_signed_magnitudes_have_either_sign_alike_often_and_others_keep_theirs() -> None:
    signed = draw(one_stage(Choice('rotate', 12.0, signed=True))).magnitudes
    assert set(signed.unique().tolist()) == {-12.0, 12.0}
    assert abs((signed > 0).float().mean() - 0.5) < 0.02
    assert (draw(one_stage(Choice('rotate', -7.0))).magnitudes == -7).all()


def test_equal_generators_give_equal_draws_and_others_others() -> None:
    policy = one_stage(Choice('rotate', (0.0, 30.0), signed=True), Choice('invert'))
    first, again, other = draw(policy, 3), draw(policy, 3), draw(policy, 4)
    assert torch.equal(first.indices, again.indices) and torch.equal(first.magnitudes, again.magnitudes)
    assert not torch.equal(first.magnitudes, other.magnitudes)


def test_nothing_is_drawn_for_an_empty_batch() -> None:
    drawn = PolicySampler(one_stage(Choice('invert'), repeat=2))(0)
    assert drawn.indices.shape == drawn.magnitudes.shape == (0, 2)


class TestAugmentation:
    policy = one_stage(
        Choice('invert'), Choice('rotate', 30.0), trajectory=tuple(TrajectoryPoint(p, (p, 1 - p)) for p in (0.0, 1.0))
    )

    def test_it_applies_what_its_sampler_draws(self) -> None:
        images, labels = random_images(16), random_labels(16)
        augment = Augmentation(one_stage(Choice('rotate', (0.0, 30.0)), Choice('invert')), ignore_index=7)
        changed, moved = augment(images, labels, generator=torch.Generator().manual_seed(2))
        drawn = augment.sampler(0.0)(16, torch.Generator().manual_seed(2))
        expected, expected_labels = apply_drawn(images, labels, drawn, augment.canvas)
        assert torch.equal(changed, expected) and torch.equal(moved, expected_labels)
        assert (moved == 7).any() and not (moved == 255).any()

    @pytest.mark.parametrize(('progress', 'inverted'), [(0.0, False), (0.49, False), (0.5, True), (1.0, True)])
    def test_the_place_of_the_training_decides_what_is_drawn(self, progress: float, inverted: bool) -> None:
        images = random_images(8)
        changed, _ = Augmentation(self.policy)(images, progress=progress)
        torch.testing.assert_close(changed, 1 - images if inverted else images)

    @pytest.mark.parametrize('progress', [-0.1, 1.1, float('nan')])
    def test_a_place_outside_the_training_is_refused_whatever_came_before(self, progress: float) -> None:
        augment = Augmentation(self.policy)
        augment(random_images(2), progress=1.0)
        augment(random_images(2), progress=0.0)
        with pytest.raises(ValueError, match='progress is the part of the training that is done'):
            augment(random_images(2), progress=progress)
