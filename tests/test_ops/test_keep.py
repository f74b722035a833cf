"""The rule of KeepAugment against the loops that it stands for."""

import math

import pytest
import torch
from torch import Tensor

from mmdas.ops.keep import admissible, draw_positions, draw_regions, importance_map, quantiles, region_masks
from mmdas.ops.saliency import region_importance

CANVAS = (7, 9)
SIZES = torch.tensor([[3, 4], [1, 1], [7, 9], [2, 5], [4, 3]])
CONTENTS = torch.tensor([[7, 9], [5, 6], [7, 9], [3, 9], [4, 8]])
QUANTILES = [0.0, 0.25, 0.6, 0.7, 1.0]
both_kinds = pytest.mark.parametrize('above', [False, True], ids=['cut', 'paste'])


@pytest.fixture
def saliency() -> Tensor:
    return torch.rand(len(SIZES), *CANVAS, generator=torch.Generator().manual_seed(0))


def regions(saliency: Tensor, image: int) -> dict[tuple[int, int], float]:
    """The importance of the regions of an image, one after the other."""
    (h, w), (height, width) = SIZES[image].tolist(), CONTENTS[image].tolist()
    return {
        (y, x): sum(float(saliency[image, y + i, x + j]) for i in range(h) for j in range(w))
        for y in range(height - h + 1)
        for x in range(width - w + 1)
    }


def chosen(found: dict[tuple[int, int], float], quantile: float, above: bool) -> set[tuple[int, int]]:
    """Positions on one side of the smallest importance that at least the quantile of the regions does not exceed."""
    values = sorted(found.values())
    threshold = next(v for v in values if sum(other <= v for other in values) >= quantile * len(values) - 1e-9)
    return {place for place, value in found.items() if (value >= threshold if above else value <= threshold)}


def places(positions: Tensor) -> list[set[tuple[int, int]]]:
    return [{(int(y), int(x)) for y, x in image.nonzero()} for image in positions]


def test_importance_is_the_sum_over_each_region_in_the_content(saliency: Tensor):
    importance, inside = importance_map(saliency, SIZES, CONTENTS)
    for image in range(len(SIZES)):
        expected = regions(saliency, image)
        assert places(inside[image : image + 1]) == [set(expected)]
        for (y, x), value in expected.items():
            assert float(importance[image, y, x]) == pytest.approx(value, rel=1e-6)


def test_importance_of_equal_regions_is_that_of_the_plain_function(saliency: Tensor):
    sizes = torch.tensor([[3, 4]]).expand(len(saliency), 2)
    importance, inside = importance_map(saliency, sizes, torch.tensor([CANVAS]).expand(len(saliency), 2))
    expected = region_importance(saliency, (3, 4))
    torch.testing.assert_close(importance[inside].view_as(expected), expected)


@both_kinds
@pytest.mark.parametrize('quantile', QUANTILES)
def test_positions_are_those_of_the_loop(saliency: Tensor, quantile: float, above: bool):
    found = admissible(*importance_map(saliency, SIZES, CONTENTS), quantile, above)
    expected = [chosen(regions(saliency, image), quantile, above) for image in range(len(SIZES))]
    assert places(found) == expected


@pytest.mark.parametrize('quantile', QUANTILES)
def test_share_of_positions_is_the_quantile(quantile: float):
    saliency = torch.rand(4, 32, 40, generator=torch.Generator().manual_seed(1))
    sizes, contents = torch.tensor([[5, 7]] * 4), torch.tensor([[32, 40], [30, 40], [32, 17], [11, 11]])
    importance, inside = importance_map(saliency, sizes, contents)
    counts = (contents - sizes + 1).prod(1)
    below, above = (admissible(importance, inside, quantile, side).flatten(1).sum(1) for side in (False, True))
    ranks = torch.tensor([max(math.ceil(round(quantile * count, 6)), 1) for count in counts.tolist()])
    assert torch.equal(below, ranks)
    assert torch.equal(below + above, counts + 1)  # the region at the quantile is on both sides


def test_quantile_of_ten_regions_is_the_seventh():
    values = torch.arange(10.0).flip(0).view(1, 2, 5).double()
    assert quantiles(values, torch.ones_like(values, dtype=torch.bool), 0.7).item() == 6


@both_kinds
@pytest.mark.parametrize('quantile', QUANTILES)
@pytest.mark.parametrize('value', [0.0, 0.1, math.nan, math.inf])
def test_with_constant_saliency_every_region_may_be_taken(value: float, quantile: float, above: bool):
    constant = torch.full((len(SIZES), *CANVAS), value)
    importance, inside = importance_map(constant, SIZES, CONTENTS)
    assert torch.equal(admissible(importance, inside, quantile, above), inside)
    assert inside.flatten(1).any(1).all()


@both_kinds
def test_ties_at_the_quantile_are_on_both_sides(above: bool):
    saliency = torch.tensor([[0.0, 1.0, 1.0, 1.0, 2.0]])[None]
    found = admissible(*importance_map(saliency, torch.tensor([[1, 1]]), torch.tensor([[1, 5]])), 0.6, above)
    assert found[0, 0].tolist() == ([False, True, True, True, True] if above else [True, True, True, True, False])


@both_kinds
def test_drawn_region_is_one_that_may_be_taken(saliency: Tensor, above: bool):
    allowed = [chosen(regions(saliency, image), 0.6, above) for image in range(len(SIZES))]
    for _ in range(20):
        masks = draw_regions(saliency, SIZES, CONTENTS, 0.6, above)
        for image, mask in enumerate(masks[:, 0]):
            y, x = mask.nonzero().amin(0).tolist()
            h, w = SIZES[image].tolist()
            assert (y, x) in allowed[image]
            assert int(mask.sum()) == h * w
            assert mask[y : y + h, x : x + w].all()


def test_positions_are_drawn_alike_often():
    positions = torch.zeros(4000, 3, 5, dtype=torch.bool)
    positions[:, [0, 1, 1, 2], [4, 0, 3, 2]] = True
    torch.manual_seed(0)
    rows, columns = draw_positions(positions).T
    counts = torch.bincount(rows * 5 + columns, minlength=15)
    assert counts.nonzero()[:, 0].tolist() == [4, 5, 8, 12]
    assert ((counts[counts > 0] - 1000).abs() < 4 * math.sqrt(4000 * 0.25 * 0.75)).all()


def test_draws_take_one_random_number_an_image():
    torch.manual_seed(0)
    draw_positions(torch.ones(6, 3, 4, dtype=torch.bool))
    after = torch.rand(())
    torch.manual_seed(0)
    torch.rand(6, dtype=torch.float64)
    assert torch.equal(after, torch.rand(()))


def test_mask_covers_the_region():
    positions, sizes = torch.tensor([[1, 2], [0, 0], [6, 8]]), torch.tensor([[2, 3], [7, 9], [1, 1]])
    masks = region_masks(positions, sizes, CANVAS)
    for mask, (y, x), (h, w) in zip(masks[:, 0], positions.tolist(), sizes.tolist(), strict=True):
        assert all(
            mask[i, j] == (y <= i < y + h and x <= j < x + w) for i in range(CANVAS[0]) for j in range(CANVAS[1])
        )


@pytest.mark.parametrize('size', [(0, 1), (1, 7), (6, 1)])
def test_region_that_does_not_fit_is_refused(size: tuple[int, int]):
    with pytest.raises(ValueError, match=rf'sizes of regions are \[\[{size[0]}, {size[1]}\]\], .* to \[\[5, 6\]\]'):
        importance_map(torch.rand(1, *CANVAS), torch.tensor([size]), torch.tensor([[5, 6]]))
