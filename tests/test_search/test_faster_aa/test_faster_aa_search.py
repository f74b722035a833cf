"""The relaxed augmentation of Faster AutoAugment, its gradients and its policy."""

import math

import pytest
import torch
from hard_augmentation import all_signs, check_one_of, scene
from torch import Tensor

from mmdas.search.augmentation import AugmentPolicy, Canvas, Choice
from mmdas.search.faster_aa import FASTER_AA_SPACE, FasterAASearch
from mmdas.search.faster_aa.space import STEPPED

NAMES = [entry.name for entry in FASTER_AA_SPACE]


def decided(operations: tuple[str, str], applied: tuple[bool, bool], share: float = 0.6) -> FasterAASearch:
    """A search of one sub-policy that has made up its mind."""
    search = FasterAASearch(sub_policies=1)
    with torch.no_grad():
        search.weights.zero_()
        search.magnitude_logits.fill_(math.log(share / (1 - share)))
        for stage, (name, used) in enumerate(zip(operations, applied, strict=True)):
            search.weights[0, stage, NAMES.index(name)] = 10.0
            search.probability_logits[0, stage] = 50.0 if used else -50.0
    return search


def choices_of(search: FasterAASearch, operations: tuple[str, str], applied: tuple[bool, bool]) -> list[Choice]:
    (sub,) = search.to_policy().sub_policies
    rows = zip(sub.stages, operations, applied, strict=True)
    return [stage.choices[NAMES.index(name)] for stage, name, used in rows if used]


@pytest.mark.parametrize('with_labels', [False, True])
@pytest.mark.parametrize('name', NAMES)
def test_decided_weights_and_probabilities_give_the_augmentation_of_trainings(name: str, with_labels: bool) -> None:
    images, labels = scene()
    operations = (name, 'shear_y' if name == 'rotate' else 'rotate')
    for applied in ((True, True), (True, False), (False, False)):
        search = decided(operations, applied)
        changed, moved = search(images, labels if with_labels else None, Canvas())
        expected = all_signs(images, labels if with_labels else None, choices_of(search, operations, applied))
        check_one_of(changed.detach(), moved, expected)


def test_labels_follow_the_operation_that_was_drawn() -> None:
    """All weights alike: each image and its labels are those of one pair of operations, each applied or not."""
    images, labels = scene(count=12)
    search = FasterAASearch(sub_policies=1)
    with torch.no_grad():
        search.weights.fill_(0.5)
        search.probability_logits.fill_(0.5)
    names = ('rotate', 'translate_x', 'horizontal_flip')
    with torch.no_grad():
        search.weights[..., [NAMES.index(name) for name in names]] = 1.0
    changed, moved = search(images, labels, Canvas())
    (sub,) = search.to_policy().sub_policies
    found = [[None, *(stage.choices[NAMES.index(name)] for name in names)] for stage in sub.stages]
    expected = [
        result
        for first in found[0]
        for second in found[1]
        for result in all_signs(images, labels, [choice for choice in (first, second) if choice is not None])
    ]
    check_one_of(changed.detach(), moved, expected)
    assert not torch.equal(moved, labels)


def test_the_sum_of_a_stage_is_weighted_by_softmax() -> None:
    images, _ = scene()
    search = FasterAASearch(sub_policies=1, stages=1)
    with torch.no_grad():
        search.weights.fill_(-10.0)
        search.weights[..., [NAMES.index('invert'), NAMES.index('horizontal_flip')]] = torch.tensor([0.5, 0.45])
        search.probability_logits.fill_(50.0)
    share = math.e / (1 + math.e)  # of 0.5 and 0.45 at a temperature of 0.05
    changed, _ = search(images, None, Canvas())
    torch.testing.assert_close(changed, share * (1 - images) + (1 - share) * images.flip(-1))


@pytest.mark.parametrize('with_labels', [False, True])
def test_gradients_reach_every_parameter_that_means_something(with_labels: bool) -> None:
    images, labels = scene(count=64)
    search = FasterAASearch(sub_policies=2)
    with torch.no_grad():
        search.weights.mul_(0.1)
        search.probability_logits.mul_(0.01)
    for _ in range(8 if with_labels else 1):  # with labels, only what is drawn has a probability and a magnitude
        changed, _ = search(images, labels if with_labels else None, Canvas())
        (changed * torch.rand(changed.shape)).sum().backward()
    learned = torch.tensor([entry.learns for entry in FASTER_AA_SPACE])
    assert (search.weights.grad != 0).all()
    assert (search.probability_logits.grad != 0).all()
    assert (search.magnitude_logits.grad[..., learned] != 0).all()
    assert not search.magnitude_logits.grad[..., ~learned].any()


@pytest.mark.parametrize('name', ['rotate', 'contrast', *STEPPED])
def test_gradient_of_a_magnitude_is_that_of_the_operation_or_straight_through_steps(name: str) -> None:
    images, _ = scene()
    search = decided((name, 'invert'), (True, False)).double()
    images = images.double()
    factors = torch.rand(images.shape, dtype=torch.float64)
    place = (0, 0, NAMES.index(name))

    def value() -> Tensor:
        torch.manual_seed(1)  # for the signs
        return (search(images, None, Canvas())[0] * factors).sum()

    value().backward()
    found = float(search.magnitude_logits.grad[place])
    values = []
    for shift in (0.01, -0.01):
        with torch.no_grad():
            search.magnitude_logits[place] += shift
            values.append(value().item())
            search.magnitude_logits[place] -= shift
    expected = (values[0] - values[1]) / 0.02
    if name in STEPPED:
        expected = float(factors.sum()) * 0.6 * 0.4  # 1 for each value, times the slope of the sigmoid
    assert found == pytest.approx(expected, rel=0.1)


def test_the_policy_says_what_the_module_holds() -> None:
    search = FasterAASearch()
    policy = AugmentPolicy.from_dict(search.to_policy({'seed': 3, 'method': 'search'}).to_dict())
    assert (policy.origin['method'], policy.origin['seed']) == ('Faster AutoAugment', 3)
    assert {sub.weight for sub in policy.sub_policies} == {1.0}
    read = [[list(stage.choices) for stage in sub.stages] for sub in policy.sub_policies]

    def table(field: str) -> Tensor:
        return torch.tensor([[[getattr(choice, field) for choice in row] for row in sub] for sub in read])

    torch.testing.assert_close(table('weight'), (search.weights / 0.05).softmax(dim=-1).detach())
    torch.testing.assert_close(table('probability'), search.probability_logits.sigmoid().detach())
    for place, entry in enumerate(FASTER_AA_SPACE):
        expected = entry.first + (entry.last - entry.first) * search.magnitudes[..., place].detach()
        torch.testing.assert_close(table('magnitude')[..., place], expected if entry.learns else expected * 0)
        assert read[0][0][place].signed == (entry.learns and entry.operation.geometric)


def test_sub_policies_start_unlike_one_another() -> None:
    search = FasterAASearch()
    assert len(set(search.weights.argmax(dim=-1).flatten().tolist())) > 5


@pytest.mark.parametrize('option', ['sub_policies', 'stages', 'temperature', 'relaxation'])
def test_numbers_that_are_not_positive_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f'FasterAASearch.{option} must be positive, got 0'):
        FasterAASearch(**{option: 0})
