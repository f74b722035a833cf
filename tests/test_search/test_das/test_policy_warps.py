"""Policies of affine warps: each path through the graph is one warp of the image."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from cell_reference import random_images
from torch import Tensor

from mmdas.ops import affine
from mmdas.ops.clip import other_frames
from mmdas.search.das import DASCell, Policy, PolicyClip, PolicyEdge

GEOMETRIC = ['identity', 'translate_x', 'translate_y', 'rotate', 'scale', 'shear_x', 'shear_y']
TOLERANCES = {torch.float64: {'atol': 1e-9, 'rtol': 1e-9}, torch.float32: {'atol': 1e-4, 'rtol': 1e-4}}


def random_policy(num_frames: int = 3, seed: int = 0, degree: int = 2, num_nodes: int = 4, **options) -> Policy:
    """A policy of warps and identities whose nodes have up to ``degree`` edges."""
    generator = torch.Generator().manual_seed(seed)
    edges = []
    for target in range(2, 2 + num_nodes):
        for source in torch.randperm(target, generator=generator)[:degree].tolist():
            name = GEOMETRIC[torch.randint(len(GEOMETRIC), (), generator=generator)]
            high = {'rotate': 20.0, 'identity': 0.0}.get(name, 0.2)
            strength = high * (2 * torch.rand((), generator=generator, dtype=torch.float64).item() - 1)
            edges.append(PolicyEdge(source, target, name, strength))
    return Policy(num_frames, num_nodes, tuple(edges), **options)


def chain(*steps: tuple[str, float], num_frames: int = 5, **options) -> Policy:
    """A policy that is a single path."""
    edges = [PolicyEdge(node + 1, node + 2, *step) for node, step in enumerate(steps)]
    return Policy(num_frames, len(steps), tuple(edges), **options)


def all_paths(policy: Policy, node: int) -> list[tuple[list[PolicyEdge], float]]:
    """Edges and weights of all ways from the image to a node, by the definition."""
    if node < 2:
        return [([], 1.0)]
    last = [edge for edge in policy.edges if edge.target == node]
    share = 1 / len(last) if policy.node_reduction == 'mean' else 1.0
    return [(path + [edge], share * weight) for edge in last for path, weight in all_paths(policy, edge.source)]


def path_matrix(path: Sequence[PolicyEdge], offset: int, size: tuple[int, int]) -> Tensor:
    """Product of the 3x3 matrices of a path at an offset along the ramp."""
    product = torch.eye(3, dtype=torch.float64)
    for edge in path:
        if edge.operation != 'identity':
            scale = edge.operation == 'scale'
            magnitude = (1 + edge.strength) ** offset - 1 if scale else edge.strength * offset
            magnitude = torch.tensor([magnitude], dtype=torch.float64)
            matrix = getattr(affine, f'{edge.operation}_matrix')(magnitude, size)[0]
            product = product @ torch.cat([matrix, torch.tensor([[0.0, 0.0, 1.0]])])
    return product


def clip_by_paths(policy: Policy, images: Tensor) -> Tensor:
    """Frame by frame and path by path, each sampled once by PyTorch's own grid."""
    paths, frames = all_paths(policy, policy.num_nodes + 1), []
    for t in range(policy.num_frames):
        offset = t - policy.num_frames // 2
        offset = abs(offset) if policy.ramp == 'mirrored' else offset
        frame = torch.zeros_like(images)
        for path, weight in paths:
            theta = path_matrix(path, offset, images.shape[-2:])[:2].expand(len(images), 2, 3)
            grid = F.affine_grid(theta, list(images.shape), align_corners=False)
            frame = frame + weight * F.grid_sample(images, grid, padding_mode=policy.padding, align_corners=False)
        frames.append(frame)
    return torch.cat(frames, dim=1)


def gathered(policy: Policy, images: Tensor) -> Tensor:
    clip = PolicyClip(policy).train()
    result = clip(images)
    assert clip._operators._entries, 'this must be the operator'
    return result


def sampled(policy: Policy, images: Tensor) -> Tensor:
    clip = PolicyClip(policy).eval()
    result = clip(images)
    assert not clip._operators._entries, 'the first image of an evaluation is sampled'
    return result


def cell_of(policy: Policy) -> DASCell:
    """The cell that is one-hot on a policy of warps."""
    cell = DASCell(
        policy.num_frames, GEOMETRIC, policy.num_nodes, policy.ramp, 'fixed', False, None, policy.padding
    ).double()
    positions = {}
    for edge in policy.edges:
        position, column = cell.edges.index((edge.source, edge.target)), GEOMETRIC.index(edge.operation)
        cell.choose(position, column)
        cell.fixed_strengths[position, column] = edge.strength
        positions.setdefault(edge.target, []).append(position)
    for target, kept in positions.items():
        cell.keep_edges(target, kept)
    return cell.eval().requires_grad_(False)


def grid_of(size: tuple[int, int]) -> list[Tensor]:
    return torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in size), indexing='ij')


@pytest.mark.parametrize('form', [gathered, sampled])
@pytest.mark.parametrize('ramp', ['signed', 'mirrored'])
@pytest.mark.parametrize('node_reduction', ['mean', 'sum'])
@pytest.mark.parametrize('num_frames', [2, 3, 8])
@pytest.mark.parametrize('padding', affine.PADDINGS)
def test_clip_is_the_weighted_sum_of_one_warp_per_path(
    padding: str, num_frames: int, node_reduction: str, ramp: str, form: Callable
) -> None:
    policy = random_policy(num_frames, num_frames, padding=padding, node_reduction=node_reduction, ramp=ramp)
    torch.testing.assert_close(form(policy, random_images()), clip_by_paths(policy, random_images()))


@pytest.mark.parametrize('form', [gathered, sampled])
@pytest.mark.parametrize('degree', [1, 2, 3, 5])
@pytest.mark.parametrize('seed', range(4))
def test_clip_is_the_sum_over_paths_for_any_graph(seed: int, degree: int, form: Callable) -> None:
    policy = random_policy(4, seed, degree)
    torch.testing.assert_close(form(policy, random_images()), clip_by_paths(policy, random_images()))


@pytest.mark.parametrize('form', [gathered, sampled])
@pytest.mark.parametrize('size', [(5, 11), (11, 5), (8, 8), (1, 6), (6, 1), (1, 1)])
@pytest.mark.parametrize('batch', [1, 3])
def test_clip_is_the_sum_over_paths_for_any_shape(batch: int, size: tuple[int, int], form: Callable) -> None:
    policy, images = random_policy(3, seed=5), random_images(batch, size)
    torch.testing.assert_close(form(policy, images), clip_by_paths(policy, images))


@pytest.mark.parametrize('form', [gathered, sampled])
@pytest.mark.parametrize('channels', [1, 2, 5])
def test_images_of_any_layout_and_number_of_channels(channels: int, form: Callable) -> None:
    policy, images = random_policy(3, seed=6), random_images(2 * channels).view(2, -1, 7, 10)[:, ::3]
    expected = clip_by_paths(policy, images)
    for layout in (images, images.to(memory_format=torch.channels_last), images.mT.contiguous().mT):
        torch.testing.assert_close(form(policy, layout), expected)


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('padding', affine.PADDINGS)
@pytest.mark.parametrize('seed', range(3))
def test_gathered_clip_equals_the_sampled_clip(seed: int, padding: str, dtype: torch.dtype) -> None:
    policy, images = random_policy(8, seed, padding=padding), random_images(size=(23, 31), dtype=dtype)
    by_operator = gathered(policy, images)
    assert by_operator.dtype == dtype
    torch.testing.assert_close(by_operator, sampled(policy, images), **TOLERANCES[dtype])


@pytest.mark.parametrize('num_nodes', [1, 3, 6])
@pytest.mark.parametrize('seed', range(3))
def test_weights_of_all_paths_of_means_are_one(seed: int, num_nodes: int) -> None:
    policy = random_policy(seed=seed, degree=3, num_nodes=num_nodes)
    assert sum(PolicyClip(policy).paths.values()) == pytest.approx(1, abs=1e-12)


def test_sums_count_the_paths() -> None:
    policy = random_policy(degree=3, node_reduction='sum')
    number = len(all_paths(policy, 5))
    assert sum(PolicyClip(policy).paths.values()) == number > 3
    images = random_images()
    torch.testing.assert_close(gathered(policy, images)[:, 3:6], number * images)


def test_equal_operations_from_both_inputs_are_one_path() -> None:
    clip = PolicyClip(Policy(3, 1, (PolicyEdge(0, 2, 'rotate', 9.0), PolicyEdge(1, 2, 'rotate', 9.0))))
    assert clip.paths == {(('rotate', 9.0),): 1.0}


def test_policy_of_very_many_paths_applies_one_operation_after_the_other() -> None:
    edges = [PolicyEdge(s, t, 'rotate', 0.1 * s + t) for t in range(2, 14) for s in range(t)]  # 4096 paths
    clip, images = PolicyClip(Policy(2, 12, tuple(edges))), random_images()
    assert not clip.is_composed
    assert torch.equal(
        other_frames(clip(images).unflatten(1, (2, 3)).transpose(0, 1)), clip._one_after_the_other(images)
    )


def test_paths_that_differ_by_identities_are_one() -> None:
    edges = [(0, 2, 'identity'), (1, 2, 'rotate'), (0, 3, 'identity'), (2, 3, 'identity'), (2, 4, 'scale')]
    edges = [PolicyEdge(*edge, 0.0 if edge[2] == 'identity' else 0.1) for edge in [*edges, (3, 4, 'identity')]]
    clip = PolicyClip(Policy(3, 3, tuple(edges)))
    # into node 4: half of node 2 scaled (image, turned image), half of node 3 (3/4 image, 1/4 turned image)
    turn, grow = ('rotate', 0.1), ('scale', 0.1)
    assert clip.paths == {(grow,): 0.25, (turn, grow): 0.25, (): 0.375, (turn,): 0.125}
    warps = clip.warps((7, 10))
    assert [weight for _, weight in warps] == list(clip.paths.values())
    assert [theta is None for theta, _ in warps] == [path == () for path in clip.paths]
    assert all(theta.shape == (2, 2, 3) and theta.dtype == torch.float64 for theta, _ in warps if theta is not None)


@pytest.mark.parametrize('form', [gathered, sampled])
def test_identities_alone_repeat_the_image_bit_for_bit(form: Callable) -> None:
    edges = [PolicyEdge(0, 2, 'identity', 0.0), PolicyEdge(1, 2, 'identity', 0.0), PolicyEdge(2, 3, 'identity', 0.0)]
    images = random_images(dtype=torch.float32)
    assert torch.equal(form(Policy(4, 2, tuple(edges)), images), images.repeat(1, 4, 1, 1))


@pytest.mark.parametrize(
    'way',
    [
        [('rotate', 17.0), ('rotate', -17.0)],
        [('translate_x', 0.31), ('translate_y', 0.2), ('translate_x', -0.31), ('translate_y', -0.2)],
        [('translate_x', 0.7), ('translate_x', -0.7)],  # all out of the image in between
        [('shear_x', 0.3), ('identity', 0.0), ('shear_x', -0.3)],
        [('scale', 0.25), ('scale', -0.2)],  # 5/4 and 4/5
    ],
    ids=lambda way: way[0][0],
)
def test_way_there_and_back_gives_the_image_again(way: list[tuple[str, float]]) -> None:
    """Warp after warp, as in the cell of the search, blurs it and loses what lies outside in between."""
    policy, images = chain(*way), random_images(size=(15, 21), dtype=torch.float32)
    still = images.repeat(1, 5, 1, 1)
    assert torch.equal(gathered(policy, images), still)
    torch.testing.assert_close(sampled(policy, images), still, atol=1e-4, rtol=0)
    difference = (cell_of(policy)(images.double()) - still)[:, :3]
    assert difference.abs().max() > 0.2


@pytest.mark.parametrize('seed', range(3))
def test_clip_of_a_smooth_image_agrees_with_the_cell_away_from_the_borders(seed: int) -> None:
    policy, (y, x) = random_policy(3, seed), grid_of((96, 120))
    images = torch.sin(0.15 * x + 0.05 * y).add(torch.cos(0.12 * y))[None, None]
    middle = (..., slice(40, 56), slice(50, 70))
    clip, expected = gathered(policy, images)[middle], cell_of(policy)(images)[middle]
    torch.testing.assert_close(clip, expected, atol=0.02, rtol=0)
    assert (clip[:, 0] - clip[:, 1]).abs().max() > 0.1  # the frames do move


@pytest.mark.parametrize('angles', [(9.0, -4.0), (5.0, 6.0, 7.0)])
def test_clip_keeps_more_detail_than_the_cell(angles: tuple[float, ...]) -> None:
    policy, images = chain(*(('rotate', angle) for angle in angles), num_frames=3), random_images(1, (61, 61))
    middle = (..., slice(15, 46), slice(15, 46))
    for t in (0, 2):
        once, again = (
            clip[:, 3 * t : 3 * t + 3][middle].std() for clip in (gathered(policy, images), cell_of(policy)(images))
        )
        assert once > 1.15 * again


@pytest.mark.parametrize('padding', affine.PADDINGS)
def test_gradient_of_the_images_is_that_of_the_paths(padding: str) -> None:
    policy, upstream = random_policy(4, seed=2, padding=padding), random_images(2 * 4).view(2, 12, 7, 10)

    def gradient(function: Callable[[Tensor], Tensor]) -> Tensor:
        images = random_images().requires_grad_()
        return torch.autograd.grad(function(images), images, upstream)[0]

    expected = gradient(lambda images: clip_by_paths(policy, images))
    torch.testing.assert_close(gradient(PolicyClip(policy).train()), expected)


def test_gradient_of_the_images_passes_the_numerical_check() -> None:
    images = random_images(1, (3, 4)).requires_grad_()
    assert torch.autograd.gradcheck(PolicyClip(random_policy(3, seed=2)), (images,))
