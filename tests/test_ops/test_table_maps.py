"""Warps of one frame as maps of tables, held to ``warp_affine``."""

import pytest
import torch
from torch import Tensor

from mmdas.ops.affine import PADDINGS, rotate_matrix, scale_matrix, shear_x_matrix, translate_x_matrix, warp_affine
from mmdas.ops.half_turn import HalfTurnMap, HalfTurnSpace
from mmdas.ops.table_maps import SeparableMap, ShiftMap

SIZES = [(5, 8), (7, 7), (6, 4), (1, 6), (1, 1)]
sizes = pytest.mark.parametrize('size', SIZES)
paddings = pytest.mark.parametrize('padding', PADDINGS)


def random_table(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def number(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def warped(table: Tensor, theta: Tensor, padding: str) -> Tensor:
    return warp_affine(table.movedim(-1, 0)[None], theta[None], padding)[0].movedim(0, -1)


def applied(part, table: Tensor, out: Tensor, transposed: bool = False) -> Tensor:
    for place, term, factor in part.terms(table, transposed):
        out[place] += factor * term
    return out


def check(apply, theta: Tensor, size: tuple[int, int], padding: str) -> None:
    """The map is the warp, and its transposed map has the same inner products."""
    table, other = random_table(*size, 3), random_table(*size, 3, seed=1)
    torch.testing.assert_close(apply(table, False), warped(table, theta, padding))
    torch.testing.assert_close((other * apply(table, False)).sum(), (apply(other, True) * table).sum())


@sizes
@pytest.mark.parametrize('shift', [(0.0, 0.0), (0.4, 0.0), (0.0, -0.7), (-1.3, 0.9), (2.5, 0.0), (0.5, 0.25)])
def test_shift_is_the_translation(size: tuple[int, int], shift: tuple[float, float]) -> None:
    theta = torch.eye(2, 3, dtype=torch.float64)
    theta[:, 2] = torch.tensor(shift)
    part = ShiftMap(theta, size)
    check(lambda table, transposed: applied(part, table, torch.zeros_like(table), transposed), theta, size, 'zeros')
    assert part.nbytes == 0


def test_shift_by_whole_pixels_has_one_term() -> None:
    theta = translate_x_matrix(number(3 / 7), (5, 7))[0]
    assert len(list(ShiftMap(theta, (5, 7)).terms(random_table(5, 7, 2)))) == 1


@sizes
@paddings
@pytest.mark.parametrize('strength', [-0.4, 0.3, 1.5])
def test_separable_map_is_the_warp(size: tuple[int, int], padding: str, strength: float, monkeypatch) -> None:
    """With blocks of two rows, the last of which may be shorter."""
    monkeypatch.setattr('mmdas.ops.table_maps._PIXELS_AT_A_TIME', 2 * size[1])
    theta = scale_matrix(number(strength), size)[0] + torch.tensor([[0, 0, 0.1], [0, 0, -0.2]])
    part = SeparableMap(theta, size, padding, torch.float64)
    check(lambda table, transposed: applied(part, table, torch.zeros_like(table), transposed), theta, size, padding)


@sizes
@paddings
@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize(('matrix', 'strength'), [(rotate_matrix, 25.0), (rotate_matrix, -80.0), (shear_x_matrix, 0.7)])
def test_half_turn_map_is_the_warp(size, padding: str, mirrored: bool, matrix, strength: float) -> None:
    theta, space = matrix(number(strength), size)[0], HalfTurnSpace(size, mirrored)
    part = HalfTurnMap(space.matrix(theta), size, padding, torch.float64)

    def apply(table: Tensor, transposed: bool) -> Tensor:
        return space.leave(applied(part, space.enter(table), space.zeros(table), transposed))

    check(apply, theta, size, padding)


@sizes
@pytest.mark.parametrize('mirrored', [False, True])
def test_half_turn_space_keeps_tables_and_inner_products(size: tuple[int, int], mirrored: bool) -> None:
    space, first, second = HalfTurnSpace(size, mirrored), random_table(*size, 3), random_table(*size, 3, seed=1)
    entered = space.enter(first)
    assert torch.equal(space.leave(entered[: len(space.zeros(first))]), first)
    assert torch.equal(entered.flip(0).roll(3, 1), entered)
    torch.testing.assert_close((entered[: len(space.zeros(first))] * space.halve(second)).sum(), (first * second).sum())
