"""Training on one drawn operation an edge instead of the mixture of all."""

from itertools import product

import pytest
import torch
from cell_reference import assert_equal, build_cell, clip_by_loops, one_hot, random_images, softmax_by_hand
from torch import nn

from mmdas.search.das import DASCell

# The sparse operators, and the plain loop that learned strengths take.
STRENGTHS = ['fixed', 'learned']


def sampled_cell(**options) -> DASCell:
    return build_cell(relaxation='gumbel', **options).train()


@pytest.mark.parametrize('strength', STRENGTHS)
def test_clip_in_training_is_that_of_one_operation_an_edge(strength: str) -> None:
    cell, images = sampled_cell(num_nodes=1, strength=strength), random_images()
    clips = [clip_by_loops(cell, images, one_hot(cell, pair)) for pair in product(range(5), repeat=2)]
    seen = set()
    for seed in range(30):
        torch.manual_seed(seed)
        clip = cell(images)
        close = [number for number, other in enumerate(clips) if torch.allclose(clip, other, atol=1e-6)]
        assert close
        seen.update(close)
    assert len(seen) > 5  # drawn anew in every pass


@pytest.mark.slow
def test_operations_are_drawn_with_the_probabilities_of_the_mixture() -> None:
    cell = DASCell(2, ['identity', 'brightness'], num_nodes=1, relaxation='gumbel', ranges={'brightness': (0.5, 0.5)})
    with torch.no_grad():
        cell.logits.copy_(torch.tensor([[0.7, 0.3], [0.1, 0.9]]).log())
    image, number = torch.full((1, 1, 1, 1), 0.5), 4000
    torch.manual_seed(0)
    dark = torch.stack([cell(image)[0, 0, 0, 0] for _ in range(number)]).mul(8).round()  # both edges, one or none
    share = [(dark == value).float().mean().item() for value in (2, 3, 4)]
    assert share == pytest.approx([0.3 * 0.9, 0.3 * 0.1 + 0.7 * 0.9, 0.7 * 0.1], abs=4 * 0.5 / number**0.5)


@pytest.mark.parametrize('strength', STRENGTHS)
def test_gradient_is_that_of_the_softmax_with_the_gumbel_noise_of_the_draw(strength: str) -> None:
    cell, images = sampled_cell(strength=strength), random_images()
    torch.manual_seed(3)
    clip = cell(images)
    upstream = torch.randn(clip.shape, dtype=clip.dtype, generator=torch.Generator().manual_seed(1))
    (actual,) = torch.autograd.grad(clip, cell.logits, upstream)

    torch.manual_seed(3)
    noise = -torch.empty_like(cell.logits).exponential_().log()
    soft = (cell.logits.detach() + noise).exp().requires_grad_()
    soft = soft / soft.sum(dim=1, keepdim=True)
    weights = nn.functional.one_hot(soft.argmax(dim=1), 5).to(soft.dtype).requires_grad_()
    (weights_gradient,) = torch.autograd.grad(clip_by_loops(cell, images, weights), weights, upstream)
    centred = weights_gradient - (soft * weights_gradient).sum(dim=1, keepdim=True)
    assert_equal(actual, soft * centred)


def test_evaluation_has_the_mixture() -> None:
    cell, images = sampled_cell().eval(), random_images()
    assert_equal(cell(images), clip_by_loops(cell, images, softmax_by_hand(cell)))
    assert_equal(cell.weights(), softmax_by_hand(cell.train()))


def test_trials_of_a_selection_draw_nothing() -> None:
    cell, images = sampled_cell(), random_images()
    weights = softmax_by_hand(cell)
    weights[1, 2] = 0
    with cell.without_operation(1, 2):
        assert_equal(cell(images), clip_by_loops(cell, images, weights))
    with cell.without_edge(1):
        assert_equal(cell(images), cell.eval()(images))


def test_decided_edges_are_as_decided() -> None:
    cell, images = sampled_cell(), random_images()
    decisions = [1, 3, 0, 4, 2]
    for edge, operation in enumerate(decisions):
        cell.choose(edge, operation)
    assert_equal(cell(images), clip_by_loops(cell, images, one_hot(cell, decisions)))


@pytest.mark.parametrize('num_strengths', [1, 3])
@pytest.mark.slow
def test_draws_find_the_operation_that_made_a_clip(num_strengths: int) -> None:
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    cell = DASCell(3, num_nodes=1, relaxation='gumbel', num_strengths=num_strengths, share_strength=True, seed=2)
    wanted = cell.operation_names.index('translate_y' if num_strengths == 1 else 'translate_y_3')
    with torch.no_grad():
        target = clip_by_loops(cell, images, one_hot(cell, [wanted, wanted]))
    optimizer = torch.optim.Adam([cell.logits], lr=0.05)
    torch.manual_seed(0)
    for _ in range(200):
        optimizer.zero_grad()
        (cell(images) - target).square().mean().mul(100).backward()
        optimizer.step()
    assert cell.logits.argmax(dim=1).tolist() == [wanted, wanted]
    assert cell.weights()[:, wanted].min() > 0.5


def test_unknown_relaxation_is_refused() -> None:
    with pytest.raises(ValueError, match="relaxation must be one of .*'gumbel'.*, got 'hard'"):
        DASCell(2, relaxation='hard')
