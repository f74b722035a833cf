"""Masks of Puzzle Mix have the least energy, and pieces the cheapest ways; all solutions of small puzzles are tried."""

import itertools

import pytest
import torch

from mmdas.augment.puzzle import (
    Energy,
    best_moves,
    block_counts,
    block_importance,
    enlarged,
    loss_saliency,
    minimal_labels,
    moved_pieces,
    piece_count,
    puzzle_energy,
)
from mmdas.augment.puzzle.transport import distances

OPTIONS = dict(smoothness=1.2, data_smoothness=0.5, prior=0.2)


def make_puzzle(count: int, blocks: int, levels: int = 3, side: int = 16, **options):
    """Images in [0, 1] that touch both ends, importance and the energy of their masks."""
    images = torch.rand(count, 3, side, side)
    images[0, :, 0, 0], images[0, :, 0, 1] = 0.0, 1.0
    importance = block_importance(torch.rand(count, side, side) ** 6, blocks)
    partners, shares = torch.arange(count).roll(1), torch.rand(count)
    energy = puzzle_energy(images, importance, partners, shares, levels, **{**OPTIONS, **options})
    return images, importance, partners, shares, energy


def all_masks(blocks: int, levels: int) -> torch.Tensor:
    masks = itertools.product(range(levels), repeat=blocks * blocks)
    return torch.tensor(list(masks)).view(-1, blocks, blocks)


def energies_of_all(energy: Energy, number: int, masks: torch.Tensor) -> torch.Tensor:
    parts = (energy.labels, energy.right, energy.down)
    return Energy(*(part[number].expand(len(masks), *part.shape[1:]) for part in parts)).of(masks)


def energy_by_pixels(images, importance, partners, share, mask, number) -> float:
    """The paper's energy (Eq. 5) of a mask of 0 and 1, term by term."""
    own, other = images[number], images[partners[number]]
    blocks = len(mask)
    block = own.shape[-1] // blocks
    cell = min(block, 4)
    total = 0.0
    for row, column in itertools.product(range(blocks), repeat=2):
        shown = mask[row, column].item()
        hidden = importance[partners[number]] if shown else importance[number]
        probability = share if shown else 1 - share
        total += hidden[row, column].item() - 0.2 / blocks**2 * torch.log(probability + 1e-8).item()
        for down, right in ((1, 0), (0, 1)):
            if row + down >= blocks or column + right >= blocks:
                continue
            next_shown = mask[row + down, column + right].item()
            first = (own if shown else other)[:, row * block :, column * block :][:, :block, :block]
            second = (own if next_shown else other)[:, (row + down) * block :, (column + right) * block :]
            steps = []
            for place in range(0, block, cell):
                end = first[:, -cell:, place : place + cell] if down else first[:, place : place + cell, -cell:]
                start = second[:, :cell, place : place + cell] if down else second[:, place : place + cell, :cell]
                steps.append((end.mean((1, 2)) - start.mean((1, 2))).abs().mean())
            total += 1.2 / blocks / 16 * ((shown - next_shown) ** 2 + 0.5 * torch.stack(steps).mean().item())
    return total


@pytest.mark.parametrize('side', [16, 8, 4], ids=['two cells a block', 'one cell', 'blocks of two pixels'])
def test_energy_is_that_of_the_paper_up_to_a_constant(side):
    images, importance, partners, shares, energy = make_puzzle(3, 2, levels=2, side=side)
    masks = all_masks(2, 2)
    for number in range(3):
        slowly = torch.tensor(
            [energy_by_pixels(images, importance, partners, shares[number].double(), mask, number) for mask in masks]
        )
        differences = energies_of_all(energy, number, masks) - slowly
        assert torch.allclose(differences, differences[:1], atol=1e-6)


@pytest.mark.parametrize('levels', [3, 4])
def test_shares_between_have_costs_between_and_binomial_priors(levels):
    _, importance, partners, shares, energy = make_puzzle(2, 2, levels=levels, data_smoothness=0.0)
    z = torch.linspace(0, 1, levels, dtype=torch.float64).view(-1, 1, 1)
    own, other = importance, importance[partners]
    binomial = torch.distributions.Binomial(levels - 1, shares.double())
    prior = -0.2 / 4 * binomial.log_prob(torch.arange(levels).double()[:, None]).T[..., None, None]
    assert torch.allclose(energy.labels, z * other[:, None] + (1 - z) * own[:, None] + prior, atol=1e-5)
    assert torch.allclose(energy.right, torch.full((2, 2, 1), 1.2 / 2 / 16, dtype=torch.float64))


@pytest.mark.parametrize(('blocks', 'levels'), [(2, 2), (2, 3), (2, 5), (3, 2), (3, 3)])
@pytest.mark.parametrize('smoothness', [0.0, 1.2, 10.0])
def test_no_mask_has_less_energy(blocks, levels, smoothness):
    energy = make_puzzle(4, blocks, levels, side=12, smoothness=smoothness)[-1]
    found = minimal_labels(energy)
    masks = all_masks(blocks, levels)
    for number in range(4):
        least = energies_of_all(energy, number, masks).min()
        assert energy.of(found)[number] <= least + 1e-5
        assert energy.of(found)[number] >= least - 1e-12


@pytest.mark.parametrize(('blocks', 'levels'), [(2, 3), (2, 5), (3, 3)])
def test_no_mask_has_less_of_any_energy_with_large_steps(blocks, levels):
    count = 20
    weights = torch.rand(count, blocks, blocks - 1), torch.rand(count, blocks - 1, blocks)
    energy = Energy(torch.rand(count, levels, blocks, blocks).double(), *(part.double() for part in weights))
    found, masks = minimal_labels(energy), all_masks(blocks, levels)
    for number in range(count):
        assert energy.of(found)[number] <= energies_of_all(energy, number, masks).min() + 1e-5
    assert found.diff(dim=1).abs().max() > 1


def test_no_change_of_a_block_lowers_the_energy_of_large_masks():
    energy = make_puzzle(2, 16, side=64)[-1]
    found = minimal_labels(energy)
    assert len(found.unique()) == 3
    reached = energy.of(found)
    for row, column, label in itertools.product(range(16), range(16), range(3)):
        other = found.clone()
        other[:, row, column] = label
        assert (energy.of(other) >= reached - 1e-5).all()


def test_masks_are_no_worse_than_those_of_swaps():
    gco = pytest.importorskip('gco', reason='gco-wrapper, whose licence allows research only, is not installed')
    energy = make_puzzle(8, 8, side=32)[-1]
    found, unit, swapped = minimal_labels(energy), 2**18, []
    for labels, right, down in zip(energy.labels, energy.right, energy.down, strict=True):
        pairs = torch.arange(3)[:, None].sub(torch.arange(3)).square().int().numpy()
        whole = [(part * unit).int().numpy() for part in (labels.permute(1, 2, 0).contiguous(), down / 4, right / 4)]
        swapped.append(torch.from_numpy(gco.cut_grid_graph(whole[0], pairs, *whole[1:], algorithm='swap')).view(8, 8))
    assert (energy.of(found) <= energy.of(torch.stack(swapped).long()) + 1e-5).all()


def test_colours_do_not_make_unequal_labels_cheap():
    energy = make_puzzle(6, 4, side=16, data_smoothness=1.0)[-1]
    assert energy.right.min() >= 0 and energy.down.min() >= 0  # what a cut needs


def test_mask_shows_of_each_image_what_matters_in_it():
    importance = torch.zeros(2, 4, 4)
    importance[0, :, :2], importance[1, :, 2:] = 1 / 8, 1 / 8
    images, partners, shares = torch.rand(2, 3, 16, 16), torch.tensor([1, 0]), torch.tensor([0.5, 0.5])
    labels = minimal_labels(puzzle_energy(images, importance, partners, shares))
    assert (labels[0, :, :2] == 2).all() and (labels[0, :, 2:] == 0).all()
    assert torch.equal(labels[1], 2 - labels[0])


def test_expected_share_moves_the_mask():
    importance = torch.full((2, 4, 4), 1 / 16)
    images, partners = torch.rand(2, 3, 16, 16), torch.tensor([1, 0])
    labels = minimal_labels(puzzle_energy(images, importance, partners, torch.tensor([0.05, 0.95])))
    assert labels[0].float().mean() < 0.5 and labels[1].float().mean() > 1.5


def test_opposite_sides_are_one_apart():
    assert distances(3)[0].reshape(3, 3).tolist() == [[0, 0.25, 1], [0.25, 0.5, 1.25], [1, 1.25, 2]]


@pytest.mark.parametrize('effort', [0.0, 0.05, 0.8])
def test_no_other_moves_cost_less(effort):
    shown = torch.rand(3, 2, 2) < 0.5
    importance = block_importance(torch.rand(3, 4, 4) ** 4, 2)
    found = best_moves(shown, importance, effort)
    for sources, visible, gains in zip(found, shown.flatten(1), importance.flatten(1), strict=True):
        costs = effort * torch.from_numpy(distances(2)) - visible.double()[:, None] * gains
        tried = [
            sum(costs[place, source] for place, source in enumerate(way)) for way in itertools.permutations(range(4))
        ]
        assert sum(costs[place, source] for place, source in enumerate(sources)) == pytest.approx(min(tried).item())


def test_free_moves_bring_all_that_matters_into_view():
    importance = block_importance(torch.rand(1, 16, 16), 4)
    shown = torch.zeros(1, 4, 4, dtype=torch.bool)
    shown[:, 2:, 1:3] = True
    sources = best_moves(shown, importance, 0.0)[0]
    seen = importance.flatten()[sources][shown.flatten()]
    assert torch.allclose(seen.sort().values, importance.flatten().sort().values[-4:])


def test_pieces_move_whole_and_all_of_them():
    images = torch.arange(2 * 3 * 8 * 12.0).view(2, 3, 8, 12)
    sources = torch.stack([torch.randperm(16) for _ in range(2)])
    moved = moved_pieces(images, sources)
    for number, place in itertools.product(range(2), range(16)):
        (row, column), (from_row, from_column) = divmod(place, 4), divmod(sources[number, place].item(), 4)
        piece = images[number, :, 2 * from_row : 2 * from_row + 2, 3 * from_column : 3 * from_column + 3]
        assert torch.equal(moved[number, :, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3], piece)
    assert torch.equal(moved_pieces(images, torch.arange(16).expand(2, 16)), images)


@pytest.mark.parametrize(
    ('size', 'blocks', 'pieces'),
    [((32, 32), 2, 8), ((32, 32), 8, 8), ((32, 32), 16, 16), ((224, 224), 4, 16), ((28, 28), 4, 4), ((8, 64), 2, 2)],
)
def test_pieces_are_four_pixels_and_at_most_sixteen_a_side(size, blocks, pieces):
    assert piece_count(size, blocks, 4) == pieces
    assert block_counts(size, [blocks]) == [blocks]


def test_saliency_is_the_gradient_of_the_loss_and_leaves_the_model_as_it_was():
    class Linear(torch.nn.Module):
        """A softmax over linear scores of the pixels, whose gradient is known: weights times (probability - label)."""

        def __init__(self):
            super().__init__()
            self.fc, self.dropout, self.frozen = torch.nn.Linear(48, 3), torch.nn.Dropout(0.5), torch.nn.Dropout(0.5)
            self.frozen.eval()
            self.data_preprocessor = torch.nn.Module()
            self.data_preprocessor.to_inputs = lambda images: images

        def loss(self, inputs, samples):
            scores = self.fc(self.dropout(inputs.flatten(1)))
            return {'loss': torch.nn.functional.cross_entropy(scores, samples), 'acc': scores.mean()}

        def parse_losses(self, losses):
            return losses['loss'], losses

    model, images, labels = Linear().train(), torch.rand(5, 3, 4, 4), torch.tensor([0, 1, 2, 0, 1])
    model.frozen.eval()
    found = loss_saliency(model, images, labels)
    excess = model.fc(images.flatten(1)).softmax(1) - torch.eye(3)[labels]
    expected = (excess @ model.fc.weight).view(5, 3, 4, 4).square().mean(1).sqrt()
    assert torch.allclose(found / found.sum(), expected / expected.sum(), atol=1e-6)
    assert model.dropout.training and not model.frozen.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not images.requires_grad


def test_importance_without_any_saliency_is_equal():
    saliency = torch.zeros(2, 8, 8)
    saliency[1, 0, 0] = 3.0
    importance = block_importance(saliency, 4)
    assert torch.equal(importance[0], torch.full((4, 4), 1 / 16, dtype=torch.float64))
    assert importance[1, 0, 0] == 1
    assert torch.equal(enlarged(importance, (8, 8)).sum((1, 2, 3)), torch.full((2,), 4.0, dtype=torch.float64))
