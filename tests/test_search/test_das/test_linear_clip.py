"""The fast path of cells of affine warps, held to the plain loop."""

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
from cell_reference import random_images
from torch import Tensor, nn

from mmdas.ops.warp_operator import WarpOperator
from mmdas.search.das import DASCell
from mmdas.search.das.fast import cell_operators, linear_clip

TOLERANCES = {torch.float64: {'atol': 1e-10, 'rtol': 1e-9}, torch.float32: {'atol': 2e-4, 'rtol': 1e-3}}
GEOMETRIC = ['identity', 'translate_x', 'translate_y', 'rotate', 'scale', 'shear_x', 'shear_y']
DUPLICATES = [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))]


def build_cell(num_frames: int = 3, num_nodes: int = 2, dtype: torch.dtype = torch.float64, **options) -> DASCell:
    """A cell whose mixtures are far from uniform."""
    cell = DASCell(num_frames, num_nodes=num_nodes, **{'seed': 1, **options}).to(dtype)
    nn.init.normal_(cell.logits, generator=torch.Generator().manual_seed(1))
    return cell


def clip_and_gradients(
    function: Callable[[Tensor], Tensor], cell: DASCell, images: Tensor, autocast: bool = False
) -> tuple[Tensor, ...]:
    """The clip and the gradients of the logits and of the images for a random upstream gradient."""
    images = images.detach().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
        clip = function(images)
        upstream = torch.randn(clip.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        return clip, *torch.autograd.grad(clip, (cell.logits, images), upstream.to(clip))


def assert_paths_agree(cell: DASCell, images: Tensor, autocast: bool = False) -> None:
    with spied_loop(cell) as loops:
        fast = clip_and_gradients(cell, cell, images, autocast)
    assert not loops, 'this must be the fast path'
    plain = clip_and_gradients(cell._loop, cell, images)
    for actual, expected in zip(fast, plain, strict=True):
        torch.testing.assert_close(actual, expected, **TOLERANCES[images.dtype])


@contextmanager
def spied_loop(cell: DASCell) -> Iterator[list[torch.Size]]:
    """Shapes of the images that take the plain loop."""
    calls, loop = [], cell._loop

    def spy(images: Tensor, *size: tuple) -> Tensor:
        calls.append(images.shape)
        return loop(images, *size)

    cell._loop = spy
    try:
        yield calls
    finally:
        del cell._loop


@contextmanager
def spied_builds() -> Iterator[list[tuple[int, int]]]:
    """Sizes of the operators that the cell makes."""
    calls, build = [], cell_operators.build_operator

    def spy(transform, operations, strengths, images, size):
        calls.append(tuple(images.shape[-2:]))
        return build(transform, operations, strengths, images, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_operators, 'build_operator', spy)
        yield calls


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('share_strength', [False, True])
@pytest.mark.parametrize('num_nodes', [1, 2, 4, 6])
@pytest.mark.parametrize('num_frames', [2, 3, 8])
def test_cell_equals_its_loop(num_frames: int, num_nodes: int, share_strength: bool, dtype: torch.dtype) -> None:
    cell = build_cell(num_frames, num_nodes, dtype, share_strength=share_strength)
    assert_paths_agree(cell, random_images(dtype=dtype))


@pytest.mark.parametrize('share_strength', [False, True])
@pytest.mark.parametrize(
    'options', [{'node_reduction': 'sum'}, {'ramp': 'mirrored'}, {'seed': 5}, {'num_strengths': 3}]
)
@pytest.mark.parametrize('padding', ['zeros', 'border', 'reflection'])
def test_cell_equals_its_loop_with_any_option(padding: str, options: dict, share_strength: bool) -> None:
    assert_paths_agree(build_cell(padding=padding, share_strength=share_strength, **options), random_images())


@pytest.mark.parametrize('space', ['paper', GEOMETRIC, *([name] for name in GEOMETRIC)])
@pytest.mark.parametrize('share_strength', [False, True])
def test_cell_equals_its_loop_in_any_space_of_warps(share_strength: bool, space: str | list[str]) -> None:
    assert_paths_agree(build_cell(space=space, share_strength=share_strength), random_images())


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('size', [(5, 11), (8, 8), (1, 6), (6, 1), (1, 1)])
def test_cell_equals_its_loop_for_any_shape(size: tuple[int, int], batch: int, channels: int) -> None:
    assert_paths_agree(build_cell(), random_images(batch, size)[:, :channels])


@pytest.mark.parametrize(
    'rearrange',
    [
        lambda images: images.to(memory_format=torch.channels_last),
        lambda images: images.transpose(2, 3),
        lambda images: images[..., ::2],
        lambda images: images[:1].expand(4, -1, -1, -1),
        lambda images: images.flip(1)[:, 1:],
    ],
    ids=['channels_last', 'transposed', 'strided', 'expanded', 'part'],
)
def test_cell_equals_its_loop_for_images_of_any_layout(rearrange: Callable[[Tensor], Tensor]) -> None:
    images = rearrange(random_images())
    assert_paths_agree(build_cell(), images)
    torch.testing.assert_close(build_cell()(images), build_cell()(images.contiguous()), **TOLERANCES[torch.float64])


@pytest.mark.parametrize('share_strength', [False, True])
def test_cell_equals_its_loop_under_autocast(share_strength: bool) -> None:
    cell = build_cell(dtype=torch.float32, share_strength=share_strength)
    assert_paths_agree(cell, random_images(dtype=torch.float32), autocast=True)


def trials(cell: DASCell) -> list[Callable]:
    """Contexts in which the selection evaluates a cell of four nodes."""
    return [
        lambda: cell.without_operation(0, 2),
        lambda: cell.without_operation(7, 0),
        lambda: cell.without_edge(3),
        lambda: cell.without_edge(13),
    ]


@pytest.mark.parametrize('trial', [None, 0, 1, 2, 3])
@pytest.mark.parametrize('share_strength', [False, True])
def test_cell_equals_its_loop_after_decisions_and_in_trials(share_strength: bool, trial: int | None) -> None:
    cell, images = build_cell(4, 4, share_strength=share_strength), random_images()
    cell(images)  # what is cached must not outlive a decision
    cell.choose(0, 3)
    cell.choose(4, 0)
    cell.keep_edges(3, [2, 3])
    cell.keep_edges(5, [9, 12, 13])  # nothing but node 4 and the input leads to the last node
    with ExitStack() as stack:
        if trial is not None:
            stack.enter_context(trials(cell)[trial]())
        assert_paths_agree(cell, images)


@pytest.mark.parametrize('share_strength', [False, True])
def test_single_edge_that_is_not_the_first_keeps_its_own_strengths(share_strength: bool) -> None:
    cell = build_cell(num_nodes=1, share_strength=share_strength)
    cell.keep_edges(2, [1])
    assert_paths_agree(cell, random_images())


def test_edges_of_both_inputs_share_a_pass_where_they_share_their_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, passes, mix = build_cell(num_nodes=3, share_strength=True), [], WarpOperator.mix

    def spy(operator: WarpOperator, table: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        passes.append(len(weights))
        return mix(operator, table, weights)

    monkeypatch.setattr(WarpOperator, 'mix', spy)
    cell(random_images())
    assert sum(passes) == 3 + 2 + 1  # the image to three nodes, node 2 to two, node 3 to one


def test_edges_to_nodes_that_lead_nowhere_get_a_gradient_of_zero() -> None:
    cell = build_cell(num_nodes=2)
    cell.keep_edges(3, [2, 3])  # of the inputs
    cell(random_images()).square().sum().backward()
    assert not cell.logits.grad[:2].any()
    assert cell.logits.grad[2:4].all()


@pytest.mark.parametrize('share_strength', [False, True])
def test_gradients_pass_the_numerical_check(share_strength: bool) -> None:
    cell, images = build_cell(num_nodes=2, share_strength=share_strength), random_images(1, (4, 5))[:, :1]

    def clip(logits: Tensor, images: Tensor) -> Tensor:
        return torch.func.functional_call(cell, {'logits': logits}, images)

    with spied_loop(cell) as loops:
        assert torch.autograd.gradcheck(clip, (cell.logits, images.requires_grad_()))
    assert not loops


@pytest.mark.parametrize('share_strength', [False, True])
def test_cell_may_be_used_twice_in_a_graph_and_backward_called_twice(share_strength: bool) -> None:
    cell = build_cell(num_nodes=3, share_strength=share_strength)

    def twice(function: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        images = random_images().requires_grad_()
        inner = (2 * images).sin()  # not a leaf
        loss = (function(inner) * function(inner.flip(3))).square().sum()
        first = torch.autograd.grad(loss, (cell.logits, images), retain_graph=True)
        second = torch.autograd.grad(loss, (cell.logits, images))
        assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
        return loss, *second

    for actual, expected in zip(twice(cell), twice(cell._loop), strict=True):
        torch.testing.assert_close(actual, expected, **TOLERANCES[torch.float64])


@pytest.mark.parametrize('share_strength', [False, True])
@pytest.mark.parametrize('num_nodes', [1, 2])
def test_gradients_do_not_read_the_clip(num_nodes: int, share_strength: bool) -> None:
    """What the backward pass reads belongs to the cell: the caller may write to the clip."""
    cell = build_cell(2, num_nodes, share_strength=share_strength)
    clip = cell(random_images())
    expected = torch.autograd.grad(clip.sum(), cell.logits, retain_graph=True)[0]
    loss = clip.sum()
    clip.data.zero_()
    assert torch.equal(torch.autograd.grad(loss, cell.logits)[0], expected)


def test_inputs_are_not_changed() -> None:
    cell, images = build_cell(num_nodes=4), random_images()
    logits = cell.logits.detach().clone()
    clip_and_gradients(cell, cell, images)
    assert torch.equal(images, random_images())
    assert torch.equal(cell.logits, logits)


@pytest.mark.parametrize('share_strength', [False, True])
def test_operators_made_in_inference_mode_serve_a_training(share_strength: bool) -> None:
    cell, images = build_cell(share_strength=share_strength), random_images()
    with torch.inference_mode():
        cell(images)
    with spied_builds() as builds:
        assert_paths_agree(cell, images)
    assert not builds


@pytest.mark.parametrize('frozen', [False, True])
def test_empty_batch_gives_an_empty_clip(frozen: bool) -> None:
    cell = build_cell().requires_grad_(not frozen)
    images = random_images()[:0].requires_grad_()
    clip = cell(images)
    assert clip.shape == (0, 9, 7, 10)
    clip.sum().backward()
    assert images.grad.shape == images.shape


def test_frozen_cell_records_no_graph() -> None:
    cell = build_cell().requires_grad_(False)
    assert not cell(random_images()).requires_grad


@pytest.mark.parametrize('share_strength', [False, True])
def test_gradient_of_the_images_alone_equals_the_loop(share_strength: bool) -> None:
    cell = build_cell(num_nodes=3, share_strength=share_strength).requires_grad_(False)

    def gradient(function: Callable[[Tensor], Tensor]) -> Tensor:
        images = random_images().requires_grad_()
        return torch.autograd.grad(function(images).square().sum(), images)[0]

    torch.testing.assert_close(gradient(cell), gradient(cell._loop), **TOLERANCES[torch.float64])


def saved_bytes(function: Callable[[Tensor], Tensor], images: Tensor, cell: DASCell) -> int:
    """Bytes that autograd keeps for the backward pass, every storage once, without images and parameters."""
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        clip = function(images)
    for leaf in (images, *cell.parameters(), *cell.buffers()):
        storages.pop(leaf.untyped_storage().data_ptr(), None)
    assert clip.requires_grad
    return sum(storages.values())


@pytest.mark.parametrize('share_strength', [False, True])
def test_backward_pass_needs_an_eighth_of_the_memory_of_the_loop(share_strength: bool) -> None:
    cell = build_cell(8, 4, torch.float32, share_strength=share_strength)
    images = random_images(8, (32, 32), torch.float32)
    bytes_fast, bytes_loop = (saved_bytes(function, images, cell) for function in (cell, cell._loop))
    assert 0 < bytes_fast <= bytes_loop / 8


@pytest.mark.parametrize(
    ('options', 'dtype', 'images_dtype', 'takes_loop'),
    [
        ({}, torch.float32, torch.float32, False),
        ({'space': GEOMETRIC, 'share_strength': True}, torch.float64, torch.float64, False),
        ({'strength': 'learned'}, torch.float32, torch.float32, True),
        ({'space': ['rotate', 'brightness']}, torch.float32, torch.float32, True),
        ({'space': ['identity', 'cutout']}, torch.float32, torch.float32, True),
        ({}, torch.bfloat16, torch.bfloat16, True),
        ({}, torch.float16, torch.float16, True),
        ({}, torch.float32, torch.float64, True),
        ({}, torch.float32, torch.bfloat16, True),
    ],
)
def test_fast_path_is_for_fixed_warps_in_full_precision(
    options: dict, dtype: torch.dtype, images_dtype: torch.dtype, takes_loop: bool
) -> None:
    cell = build_cell(dtype=dtype, **options)
    with spied_loop(cell) as loops:
        cell(random_images(dtype=images_dtype))
    assert bool(loops) == takes_loop


def test_traced_cell_is_the_loop() -> None:
    cell, images = build_cell(num_nodes=1).eval().requires_grad_(False), random_images()
    with spied_loop(cell) as loops:
        traced = torch.jit.trace(cell, images)
    assert loops
    other = random_images(3)
    torch.testing.assert_close(traced(other), cell(other), atol=1e-6, rtol=0)  # a trace rounds H / W to single


def test_operators_that_are_too_large_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five edges of four warps of four taps and the identity, in double precision with 32-bit indices."""
    cell, images = build_cell(), random_images()
    needed = 5 * (4 * 4 + 1) * 2 * 7 * 10 * (8 + 4)
    monkeypatch.setattr(linear_clip, 'MAX_BYTES', needed - 1)
    with spied_loop(cell) as loops, spied_builds() as builds:
        cell(images)
    assert loops
    assert not builds
    monkeypatch.setattr(linear_clip, 'MAX_BYTES', needed)
    with spied_loop(cell) as loops:
        cell(images)
    assert not loops


def test_operators_are_kept_from_step_to_step() -> None:
    cell, images = build_cell(), random_images()
    cell(images)
    with spied_builds() as builds, torch.no_grad():
        for step in range(3):
            cell.logits.add_(step)
            cell.choose(step, step)
            cell.train(step % 2 == 0)(random_images(step + 1))
    assert not builds


def load_other_strengths(cell: DASCell) -> Tensor:
    cell.load_state_dict(build_cell(seed=2, share_strength=cell.share_strength).state_dict())
    return random_images()


def change_strengths_in_place(cell: DASCell) -> Tensor:
    cell.fixed_strengths.mul_(0.5)
    return random_images()


def change_size(cell: DASCell) -> Tensor:
    return random_images(size=(10, 7))


def change_dtype(cell: DASCell) -> Tensor:
    cell.float()
    return random_images(dtype=torch.float32)


@pytest.mark.parametrize(
    'change', [load_other_strengths, change_strengths_in_place, change_size, change_dtype], ids=lambda f: f.__name__
)
@pytest.mark.parametrize('share_strength', [False, True])
def test_operators_are_made_anew_when_they_change(share_strength: bool, change: Callable[[DASCell], Tensor]) -> None:
    cell = build_cell(share_strength=share_strength)
    cell(random_images())
    images = change(cell)
    with spied_builds() as builds:
        cell(images)
    assert builds == [tuple(images.shape[-2:])] * len(cell.fixed_strengths)
    assert_paths_agree(cell, images)


@pytest.mark.parametrize('duplicate', DUPLICATES)
def test_copy_of_a_cell_gives_the_same_clip_with_operators_of_its_own(duplicate: Callable) -> None:
    cell, images = build_cell(), random_images()
    expected = cell(images)
    copied = duplicate(cell)
    assert not copied._operators._entries
    with spied_builds() as builds:
        assert torch.equal(copied(images), expected)
    assert len(builds) == len(cell.edges)
    assert cell._operators._entries


def test_pickled_cell_is_not_larger_for_its_operators() -> None:
    cell = build_cell()
    size = len(pickle.dumps(cell))
    cell(random_images(size=(40, 40)))
    assert len(pickle.dumps(cell)) <= size + 100


@pytest.mark.parametrize('num_nodes', [1, 2])
def test_node_without_an_edge_is_the_same_error_as_of_the_loop(num_nodes: int) -> None:
    cell = build_cell(num_nodes=num_nodes)
    cell.kept[:2] = False
    messages = []
    for function in (cell, cell._loop):
        with pytest.raises(ValueError, match='no edge ends in node 2') as caught:
            function(random_images())
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_operators_of_two_sizes_are_kept() -> None:
    cell, sizes = build_cell(), [(4, 5), (5, 4), (6, 6)]
    for size in sizes:
        cell(random_images(size=size))
        assert len(cell._operators._entries) <= 2
    with spied_builds() as builds:
        for size in sizes[1:]:
            cell(random_images(size=size))
        assert not builds
        cell(random_images(size=sizes[0]))
    assert set(builds) == {sizes[0]}
