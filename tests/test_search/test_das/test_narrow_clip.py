"""Cells whose edges have warps in forms of their own, held to the plain loop."""

import pytest
import torch
from cell_reference import random_images
from test_linear_clip import GEOMETRIC, assert_paths_agree, build_cell, saved_bytes
from test_second_derivatives import hessian_vector_products
from torch import Tensor
from torch_limits import needs_second_derivatives

from mmdas.ops.affine import rotate_matrix
from mmdas.search.das import DASCell
from mmdas.search.das.fast import linear_clip
from mmdas.search.das.fast.narrow_clip import NarrowOperators


@pytest.fixture(autouse=True)
def images_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_clip, 'NARROW_PIXELS', 0)


def operators_of(cell: DASCell) -> NarrowOperators:
    (operators,) = cell._operators._entries.values()
    assert isinstance(operators, NarrowOperators)
    return operators


@pytest.mark.parametrize('padding', ['zeros', 'border', 'reflection'])
@pytest.mark.parametrize('space', [GEOMETRIC, [*GEOMETRIC[1:], 'horizontal_flip'], *([name] for name in GEOMETRIC)])
def test_cell_equals_its_loop_in_any_space_of_warps(space: list[str], padding: str) -> None:
    cell = build_cell(4, padding=padding, space=space)
    assert_paths_agree(cell, random_images())
    operators_of(cell)


@pytest.mark.parametrize('size', [(8, 8), (7, 9), (9, 6), (1, 6), (5, 1), (1, 1)])
@pytest.mark.parametrize('num_frames', [2, 5, 8])
def test_cell_equals_its_loop_for_any_shape(num_frames: int, size: tuple[int, int]) -> None:
    assert_paths_agree(build_cell(num_frames, 3), random_images(size=size))


@pytest.mark.parametrize('options', [{'ramp': 'mirrored'}, {'num_strengths': 2}, {'node_reduction': 'sum'}])
def test_cell_equals_its_loop_with_any_option(options: dict) -> None:
    assert_paths_agree(build_cell(5, **options), random_images())


def test_cell_equals_its_loop_in_single_precision_at_the_size_where_it_is_taken(monkeypatch) -> None:
    monkeypatch.undo()
    cell = build_cell(4, 2, torch.float32)
    assert_paths_agree(cell, random_images(1, (96, 97), torch.float32))
    operators_of(cell)


def test_large_shifts_leave_nothing_of_the_image() -> None:
    cell = build_cell(8, space=['translate_x', 'translate_y'])
    cell.fixed_strengths.mul_(20)
    assert_paths_agree(cell, random_images())


def test_decisions_leave_the_maps_of_the_edges_that_stay() -> None:
    cell = build_cell(3, 3)
    cell.choose(2, 3)
    cell.keep_edges(3, [2, 4])
    cell.keep_edges(4, [6, 8])
    assert_paths_agree(cell, random_images())


@needs_second_derivatives
def test_derivatives_of_both_orders_pass_the_numerical_check() -> None:
    cell, images = build_cell(2, 2, space=['translate_x', 'rotate', 'scale']), random_images(1, (2, 3))[:, :1]

    def clip(logits: Tensor, images: Tensor) -> Tensor:
        return torch.func.functional_call(cell, {'logits': logits}, images)

    inputs = (cell.logits, images.requires_grad_())
    assert torch.autograd.gradcheck(clip, inputs, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(clip, inputs)
    operators_of(cell)


@needs_second_derivatives
def test_hessian_vector_product_equals_that_of_the_loop() -> None:
    cell, images = build_cell(3, 3), random_images().requires_grad_()
    actual, expected = (hessian_vector_products(form, (cell.logits, images), images) for form in (cell, cell._loop))
    torch.testing.assert_close(actual, expected)


def test_backward_pass_keeps_an_eighth_of_what_the_loop_keeps() -> None:
    cell, images = build_cell(8, 4, torch.float32), random_images(2, (24, 24), torch.float32)
    fast, loop = (saved_bytes(function, images, cell) for function in (cell, cell._loop))
    assert 0 < fast <= loop / 8


def test_frames_that_turn_in_opposite_directions_share_their_taps() -> None:
    angles = torch.tensor([-20.0, -10.0, 10.0, 20.0], dtype=torch.float64)
    shared, apart = (
        NarrowOperators([[rotate_matrix(strengths, (9, 8))]], 4, (9, 8), 'zeros', torch.float64).nbytes
        for strengths in (angles, angles + torch.arange(4))
    )
    taps = 36 * 4 * (4 + 8)  # half of the pixels, a column and a coefficient each
    assert apart - shared == 2 * taps


def test_warps_without_such_a_form_take_the_operators_of_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation about a corner has a shift and is not diagonal."""
    cell, images = build_cell(space=['identity', 'rotate']), random_images()
    matrices = cell.transform.matrices
    monkeypatch.setattr(cell.transform, 'matrices', lambda *inputs: matrices(*inputs) + 0.01)
    cell(images)
    assert all(isinstance(operators, list) for operators in cell._operators._entries.values())
