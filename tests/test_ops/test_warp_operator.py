"""The sparse form of affine warps, held to ``warp_affine``."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdas.ops import affine, warp_operator
from mmdas.ops.affine import PADDINGS, warp_affine
from mmdas.ops.mixed_warps import mix_warps
from mmdas.ops.warp_operator import WarpOperator, bilinear_taps

SIZES = [(5, 8), (8, 5), (7, 7), (1, 6), (6, 1), (1, 1)]
TOLERANCES = {torch.float64: {'atol': 1e-10, 'rtol': 1e-10}, torch.float32: {'atol': 3e-5, 'rtol': 1e-4}}
FRAMES = 3


def random_table(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def random_matrices(number: int = FRAMES, seed: int = 0, spread: float = 0.6) -> Tensor:
    """Matrices around the identity, (number, 2, 3)."""
    return torch.eye(2, 3, dtype=torch.float64) + spread * random_table(number, 2, 3, seed=seed)


def as_images(table: Tensor, size: tuple[int, int]) -> Tensor:
    """(G*H*W, D) -> (G, D, H, W)."""
    return table.view(-1, size[0] * size[1], table.shape[1]).transpose(1, 2).reshape(-1, table.shape[1], *size)


def as_table(images: Tensor) -> Tensor:
    """(G, D, H, W) -> (G*H*W, D)."""
    return images.flatten(2).transpose(1, 2).flatten(0, 1)


def warped_table(table: Tensor, theta: Tensor | None, size: tuple[int, int], padding: str) -> Tensor:
    return table if theta is None else as_table(warp_affine(as_images(table, size), theta, padding))


def mix_by_warps(
    table: Tensor, theta: list[Tensor | None], weights: Tensor, size: tuple[int, int], padding: str
) -> Tensor:
    parts = [warped_table(table, matrices, size, padding) for matrices in theta]
    return sum(weight * part for weight, part in zip(weights, parts, strict=True))


def three_warps() -> list[Tensor | None]:
    return [random_matrices(seed=1), None, random_matrices(seed=2, spread=0.05)]


def warp_by_taps(images: Tensor, theta: Tensor, padding: str) -> Tensor:
    """``warp_affine`` with the taps written out as sums."""
    indices, coefficients = bilinear_taps(theta, images.shape[-2:], padding)
    warped = [
        (image.flatten(1)[:, index] * coefficient).sum(dim=-1)
        for image, index, coefficient in zip(images, indices, coefficients, strict=True)
    ]
    return torch.stack(warped).view_as(images)


@pytest.mark.parametrize('spread', [0.02, 0.6, 20.0])
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('padding', PADDINGS)
def test_taps_rebuild_the_warp(padding: str, size: tuple[int, int], spread: float) -> None:
    images, theta = random_table(6, 2, *size), random_matrices(6, spread=spread)
    torch.testing.assert_close(warp_by_taps(images, theta, padding), warp_affine(images, theta, padding))


@pytest.mark.parametrize('padding', PADDINGS)
def test_taps_rebuild_grid_sample(padding: str) -> None:
    images, theta = random_table(4, 2, 6, 9), random_matrices(4)
    grid = F.affine_grid(theta, images.shape, align_corners=False)
    expected = F.grid_sample(images, grid, padding_mode=padding, align_corners=False)
    torch.testing.assert_close(warp_by_taps(images, theta, padding), expected)


@pytest.mark.parametrize('shift', [-7.0, -4.5, 2.99, 5.0, 1e3])
@pytest.mark.parametrize('padding', PADDINGS)
def test_taps_rebuild_warps_that_read_outside_of_the_image(padding: str, shift: float) -> None:
    images = random_table(2, 2, 5, 6)
    theta = torch.tensor([[[1, 0, shift], [0, 1, 0]], [[1, 0, 0], [0, 1, shift]]], dtype=torch.float64)
    torch.testing.assert_close(warp_by_taps(images, theta, padding), warp_affine(images, theta, padding))


@pytest.mark.parametrize('spread', [0.6, 20.0])
@pytest.mark.parametrize('padding', PADDINGS)
def test_taps_are_convex_and_lie_in_the_image(padding: str, spread: float) -> None:
    indices, coefficients = bilinear_taps(random_matrices(9, spread=spread), (5, 7), padding)
    assert indices.shape == coefficients.shape == (9, 35, 4)
    assert indices.min() >= 0 and indices.max() < 35
    assert coefficients.min() >= 0
    total = coefficients.sum(dim=-1)
    assert total.max() <= 1 + 1e-12
    if padding != 'zeros':
        torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize(('rows', 'columns'), [(0, 0), (1, 0), (0, -2), (-2, 3), (0, 9)])
@pytest.mark.parametrize('size', [(7, 9), (6, 11)])
def test_integer_translation_has_one_tap_a_pixel(size: tuple[int, int], rows: int, columns: int) -> None:
    """Sides that are no powers of two, where the positions carry rounding errors."""
    height, width = size
    theta = torch.tensor([[[1, 0, 2 * columns / width], [0, 1, 2 * rows / height]]], dtype=torch.float64)
    indices, coefficients = bilinear_taps(theta, size)
    inside = torch.zeros(size)
    inside[max(0, -rows) : max(0, height - rows), max(0, -columns) : max(0, width - columns)] = 1
    assert torch.equal((coefficients[0] == 1).sum(dim=-1).view(size), inside.long())
    assert ((coefficients == 0) | (coefficients == 1)).all()
    pixels = torch.arange(height * width).view(size)
    moved = (indices[0] * coefficients[0]).sum(dim=-1).view(size)
    assert torch.equal(moved, (pixels + rows * width + columns) * inside)


@pytest.mark.parametrize('length', [3, 7, 224, 380, 511, 1023])
def test_integer_translation_of_long_sides_is_kept_as_one_tap(length: int) -> None:
    shift = torch.tensor([1 / length, 3 / length, -2 / length], dtype=torch.float64)
    theta = affine.translate_x_matrix(shift, (2, length))
    assert WarpOperator([theta], 3, (2, length)).columns.shape == (3 * 2 * length, 1)


def test_unknown_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="'wrap'"):
        bilinear_taps(random_matrices(), (3, 3), 'wrap')


@pytest.mark.parametrize('sums', [1, 2, warp_operator._FEW, warp_operator._FEW + 1])
@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('padding', PADDINGS)
def test_mix_makes_weighted_sums_of_warps(padding: str, size: tuple[int, int], dtype: torch.dtype, sums: int) -> None:
    theta, weights = three_warps(), random_table(sums, 3, seed=3)
    table = random_table(FRAMES * size[0] * size[1], 4)
    mixed = WarpOperator(theta, FRAMES, size, padding, dtype).mix(table.to(dtype), weights.to(dtype))
    assert len(mixed) == sums
    for actual, row in zip(mixed, weights, strict=True):
        assert actual.dtype == dtype
        expected = mix_by_warps(table, theta, row, size, padding)
        torch.testing.assert_close(actual.double(), expected, **TOLERANCES[dtype])


def test_frames_do_not_mix() -> None:
    operator, weights = WarpOperator(three_warps(), FRAMES, (4, 5)), torch.ones(1, 3)
    table = torch.zeros(FRAMES * 20, 1)
    table[20:40] = 1
    mixed = operator.mix(table, weights)[0].view(FRAMES, 20)
    assert mixed[1].any()
    assert not mixed[[0, 2]].any()


@pytest.mark.parametrize('sums', [1, warp_operator._FEW + 1])
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('padding', PADDINGS)
def test_transposed_map_is_the_adjoint(padding: str, size: tuple[int, int], sums: int) -> None:
    operator, weights = WarpOperator(three_warps(), FRAMES, size, padding, torch.float64), random_table(sums, 3, seed=3)
    x, *ys = (random_table(FRAMES * size[0] * size[1], 4, seed=seed) for seed in range(4, 5 + sums))
    there = sum((mixed * y).sum() for mixed, y in zip(operator.mix(x, weights), ys, strict=True))
    back = (x * operator.mix_transposed(ys, weights)).sum()
    torch.testing.assert_close(there, back, **TOLERANCES[torch.float64])


@pytest.mark.parametrize('sums', [1, 2, warp_operator._FEW + 1])
@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('padding', PADDINGS)
def test_gradients_equal_those_of_the_warps(padding: str, dtype: torch.dtype, sums: int) -> None:
    size, theta = (5, 8), three_warps()
    table, weights = random_table(FRAMES * 40, 4).requires_grad_(), random_table(sums, 3, seed=3).requires_grad_()
    upstream = random_table(sums, FRAMES * 40, 4, seed=5)
    sums_of_warps = torch.stack([mix_by_warps(table, theta, row, size, padding) for row in weights])
    expected = torch.autograd.grad(sums_of_warps, (table, weights), upstream)
    inputs = [tensor.detach().to(dtype).requires_grad_() for tensor in (table, weights)]
    mixed = torch.stack(mix_warps(*inputs, WarpOperator(theta, FRAMES, size, padding, dtype)))
    for actual, wanted in zip(torch.autograd.grad(mixed, inputs, upstream.to(dtype)), expected, strict=True):
        torch.testing.assert_close(actual.double(), wanted, **TOLERANCES[dtype])


@pytest.mark.parametrize('sums', [2, warp_operator._FEW + 1])
def test_gradients_pass_the_numerical_check(sums: int) -> None:
    operator = WarpOperator(three_warps(), FRAMES, (3, 4), dtype=torch.float64)
    inputs = random_table(FRAMES * 12, 2).requires_grad_(), random_table(sums, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda table, weights: mix_warps(table, weights, operator), inputs)


@pytest.mark.parametrize('sums', [2, warp_operator._FEW + 1])
def test_sum_that_is_not_used_passes_no_gradient(sums: int) -> None:
    operator = WarpOperator(three_warps(), FRAMES, (3, 4), dtype=torch.float64)
    table, weights = random_table(FRAMES * 12, 2), random_table(sums, 3, seed=1).requires_grad_()
    mix_warps(table, weights, operator)[1].sum().backward()
    assert weights.grad[1].all()
    assert not weights.grad[torch.arange(sums) != 1].any()


@pytest.mark.parametrize('chunk', [1, 40, 333, 1 << 19])
@pytest.mark.parametrize('others', [1, 3])
def test_correlation_is_the_inner_products_written_out(
    monkeypatch: pytest.MonkeyPatch, others: int, chunk: int
) -> None:
    monkeypatch.setattr(warp_operator, '_CHUNK', chunk)
    size, theta = (5, 7), three_warps()
    table, upstream = random_table(FRAMES * 35, 2), random_table(others, FRAMES * 35, 2, seed=6)
    products = WarpOperator(theta, FRAMES, size, dtype=torch.float64).correlate(table, upstream.unbind())
    expected = [
        [(other * warped_table(table, matrices, size, 'zeros')).sum() for matrices in theta] for other in upstream
    ]
    torch.testing.assert_close(products, torch.tensor(expected), **TOLERANCES[torch.float64])


@pytest.mark.parametrize('sums', [1, warp_operator._FEW + 1])
@pytest.mark.parametrize('chunk', [1, 50, 333])
def test_mix_does_not_depend_on_the_rows_at_a_time(monkeypatch: pytest.MonkeyPatch, chunk: int, sums: int) -> None:
    operator = WarpOperator(three_warps(), FRAMES, (5, 7), dtype=torch.float64)
    table, weights = random_table(FRAMES * 35, 2), random_table(sums, 3)
    expected = operator.mix(table, weights)
    monkeypatch.setattr(warp_operator, '_CHUNK', chunk)
    for actual, wanted in zip(operator.mix(table, weights), expected, strict=True):
        torch.testing.assert_close(actual, wanted, **TOLERANCES[torch.float64])


def test_identities_alone_pass_the_table_on() -> None:
    operator, table = WarpOperator([None, None], 2, (3, 4)), torch.rand(24, 5)
    assert operator.num_warps == 2
    weights = torch.tensor([[0.25, 0.5]])
    torch.testing.assert_close(operator.mix(table, weights)[0], 0.75 * table)
    torch.testing.assert_close(operator.mix_transposed([table], weights), 0.75 * table)
    products = operator.correlate(table, [torch.ones(24, 5)])
    torch.testing.assert_close(products, table.sum().expand(1, 2))


@pytest.mark.parametrize('beside', [[], [None]])
def test_warps_from_outside_of_the_image_are_zero(beside: list[None]) -> None:
    theta = torch.tensor([[[1, 0, 9.0], [0, 1, 0]]] * 2)
    operator, table = WarpOperator([theta, *beside], 2, (3, 4)), torch.rand(24, 5)
    weights = torch.tensor([[2.0, 3.0]])[:, : operator.num_warps]
    expected = 3 * table if beside else torch.zeros_like(table)
    torch.testing.assert_close(operator.mix(table, weights)[0], expected)
    torch.testing.assert_close(operator.mix_transposed([table], weights), expected)
    assert operator.correlate(table, [torch.ones(24, 5)])[0, 0] == 0


def test_pixels_that_no_warp_reads_get_no_gradient() -> None:
    """The transposed map has empty rows, at the end of the table too."""
    theta = affine.translate_x_matrix(torch.tensor([0.5, 0.5]), (2, 4))
    operator = WarpOperator([theta], 2, (2, 4))
    grad = operator.mix_transposed([torch.ones(16, 1)], torch.ones(1, 1)).view(2, 2, 4)
    assert torch.equal(grad, torch.tensor([1.0, 1, 0, 0]).expand(2, 2, 4))


def test_gradients_that_are_not_contiguous_are_read_in_their_order() -> None:
    operator, table = WarpOperator(three_warps(), FRAMES, (4, 5)), torch.rand(FRAMES * 20, 2)
    weights, upstream = torch.rand(1, 3).requires_grad_(), torch.rand(2, FRAMES * 20).t()
    mixed = mix_warps(table.requires_grad_(), weights, operator)[0]
    actual = torch.autograd.grad(mixed, (table, weights), upstream, retain_graph=True)
    expected = torch.autograd.grad(mixed, (table, weights), upstream.contiguous())
    assert all(torch.equal(*pair) for pair in zip(actual, expected, strict=True))


@pytest.mark.parametrize('sums', [1, warp_operator._FEW + 1])
def test_tables_and_operators_are_not_changed(sums: int) -> None:
    operator, table, weights = (
        WarpOperator(three_warps(), FRAMES, (4, 5)),
        torch.rand(FRAMES * 20, 2),
        torch.rand(sums, 3),
    )
    held = [table, weights, operator.columns, operator.coefficients]
    before = [tensor.clone() for tensor in held]
    operator.mix(table, weights)
    operator.mix_transposed([table] * sums, weights)
    operator.correlate(table, [table])
    assert all(torch.equal(*pair) for pair in zip(held, before, strict=True))


def pair_of_operators(padding: str = 'zeros', size: tuple[int, int] = (5, 8)) -> tuple[WarpOperator, WarpOperator]:
    """The same warps of one image and of as many images as there are frames."""
    return tuple(
        WarpOperator(three_warps(), FRAMES, size, padding, torch.float64, one_image) for one_image in (True, False)
    )


@pytest.mark.parametrize('sums', [2, warp_operator._FEW + 1])
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('padding', PADDINGS)
def test_one_image_stands_for_the_same_image_in_every_frame(padding: str, size: tuple[int, int], sums: int) -> None:
    """Its gradient is the sum of those of the frames."""
    table, weights = random_table(size[0] * size[1], 4).requires_grad_(), random_table(sums, 3).requires_grad_()
    upstream = random_table(sums, FRAMES * size[0] * size[1], 4, seed=5)
    of_one, of_many = pair_of_operators(padding, size)
    actual = torch.stack(mix_warps(table, weights, of_one))
    expected = torch.stack(mix_warps(table.repeat(FRAMES, 1), weights, of_many))
    torch.testing.assert_close(actual, expected)
    gradients = [torch.autograd.grad(mixed, (table, weights), upstream) for mixed in (actual, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('one_image', [False, True])
@pytest.mark.parametrize('padding', PADDINGS)
def test_folded_operator_applies_the_weighted_sum_of_the_warps(
    padding: str, one_image: bool, dtype: torch.dtype
) -> None:
    size, theta, weights = (5, 7), three_warps(), [0.5, -2.0, 0.25]
    operator = WarpOperator(theta, FRAMES, size, padding, dtype, one_image).fold(weights)
    table = random_table(operator.table_rows, 4)
    frames = table.repeat(FRAMES, 1) if one_image else table
    expected = mix_by_warps(frames, theta, torch.tensor(weights, dtype=torch.float64), size, padding)
    applied = operator.apply(table.to(dtype))
    assert applied.dtype == dtype
    torch.testing.assert_close(applied.double(), expected, **TOLERANCES[dtype])


@pytest.mark.parametrize('operator', pair_of_operators(), ids=['one image', 'many images'])
def test_folded_operator_is_one_warp_with_gradients_of_its_own(operator: WarpOperator) -> None:
    table, weights = random_table(operator.table_rows, 2), torch.tensor([[0.5, -2.0, 0.25]], dtype=torch.float64)
    upstream = random_table(FRAMES * 40, 2, seed=1)
    operator.mix_transposed([upstream], weights)  # what the operator keeps of it is not the folded one's
    folded, twice = operator.fold(weights[0].tolist()), torch.full((1, 1), 2.0, dtype=torch.float64)
    assert folded.num_warps == 1
    torch.testing.assert_close(folded.mix(table, twice)[0], 2 * folded.apply(table))
    torch.testing.assert_close(
        folded.mix_transposed([upstream], twice), operator.mix_transposed([upstream], 2 * weights)
    )
    products = operator.correlate(table, [upstream]) @ weights[0]
    torch.testing.assert_close(folded.correlate(table, [upstream])[0], products)


def test_folding_leaves_the_operator_as_it_was() -> None:
    operator, table, weights = pair_of_operators()[1], random_table(FRAMES * 40, 2), random_table(2, 3)
    before = operator.mix(table, weights), operator.mix_transposed([table] * 2, weights)
    operator.fold([0.5, -2.0, 0.25]).mix_transposed([table], weights[:1, :1])
    torch.testing.assert_close((operator.mix(table, weights), operator.mix_transposed([table] * 2, weights)), before)
    assert operator.num_warps == 3


@pytest.mark.parametrize('frozen', [False, True])
def test_table_is_kept_only_for_the_gradient_of_the_weights(frozen: bool) -> None:
    operator, saved = WarpOperator(three_warps(), FRAMES, (3, 4)), []
    table, weights = torch.rand(FRAMES * 12, 50).requires_grad_(), torch.rand(2, 3).requires_grad_(not frozen)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor.numel()) or tensor, lambda x: x):
        mixed = mix_warps(table, weights, operator)
    assert sum(saved) == weights.numel() + (0 if frozen else table.numel())
    sum(part.sum() for part in mixed).backward()
    assert table.grad.any()


@pytest.mark.parametrize('width', [1, warp_operator._NARROW, warp_operator._NARROW + 1])
@pytest.mark.parametrize('sums', range(1, warp_operator._FEW + 2))
def test_each_sum_may_be_kept_without_the_others(sums: int, width: int) -> None:
    """Whether the sums are made one by one or together: a part of a larger storage would keep all of it."""
    operator = WarpOperator(three_warps(), FRAMES, (4, 5))
    for part in operator.mix(torch.rand(FRAMES * 20, width), torch.rand(sums, 3)):
        assert part.untyped_storage().nbytes() == part.numel() * part.element_size()


@pytest.mark.parametrize('columns', [warp_operator._NARROW, warp_operator._NARROW + 1])
@pytest.mark.parametrize('sums', range(1, warp_operator._FEW + 2))
def test_sums_of_tables_of_any_width_are_those_of_their_columns(sums: int, columns: int) -> None:
    operator = WarpOperator(three_warps(), FRAMES, (4, 5), dtype=torch.float64)
    table, weights = random_table(FRAMES * 20, columns), random_table(sums, 3, seed=3)
    parts = [torch.stack(operator.mix(column.contiguous(), weights)) for column in table.split(1, dim=1)]
    torch.testing.assert_close(torch.stack(operator.mix(table, weights)), torch.cat(parts, dim=2))
    upstream = random_table(sums, FRAMES * 20, columns, seed=5)
    parts = [operator.mix_transposed(list(column), weights) for column in upstream.split(1, dim=2)]
    torch.testing.assert_close(operator.mix_transposed(list(upstream), weights), torch.cat(parts, dim=1))
