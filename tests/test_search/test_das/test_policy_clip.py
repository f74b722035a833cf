import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmdas.ops import affine, photometric
from mmdas.search.das import OPERATIONS, DASCell, Policy, PolicyClip, PolicyEdge
from mmdas.search.das.fast.linear_clip import is_linear

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def random_images(n: int = 2, size: tuple[int, int] = (9, 13), dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def decided_cell(num_frames: int = 4, seed: int = 0, edges_per_node: int = 2, **options) -> DASCell:
    """A cell whose every edge has an operation and whose every node has two edges, at random."""
    cell = DASCell(num_frames, seed=seed, **options)
    generator = torch.Generator().manual_seed(seed)
    for edge in range(len(cell.edges)):
        cell.choose(edge, int(torch.randint(len(cell.operations), (), generator=generator)))
    for target in range(2, 2 + cell.num_nodes):
        positions = [position for position, edge in enumerate(cell.edges) if edge[1] == target]
        order = torch.randperm(len(positions), generator=generator)[:edges_per_node].tolist()
        cell.keep_edges(target, [positions[index] for index in order])
    return cell.eval()


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('share_strength', [False, True])
@pytest.mark.parametrize('ramp', ['signed', 'mirrored'])
@pytest.mark.parametrize('space', ['large', ['brightness', 'rotate', 'noise', 'scale']])
def test_policy_with_colours_equals_the_cell_that_is_one_hot_on_it(
    space: str | list[str], ramp: str, share_strength: bool, seed: int, tmp_path: Path
) -> None:
    cell = decided_cell(space=space, ramp=ramp, share_strength=share_strength, seed=seed)
    cell.to_policy().save(tmp_path / 'policy.json')
    policy = PolicyClip(Policy.load(tmp_path / 'policy.json')).eval()
    assert not is_linear(policy.operations)
    torch.testing.assert_close(policy(random_images()), cell(random_images()), atol=1e-6, rtol=0)


@pytest.mark.parametrize('num_frames', [1, 2, 3, 8, 16])
@pytest.mark.parametrize(
    'options',
    [
        {'padding': 'border', 'edges_per_node': 1},
        {'padding': 'reflection', 'edges_per_node': 5, 'strength': 'learned'},
        {'node_reduction': 'sum'},
        {'space': ['noise', 'cutout'], 'num_nodes': 2, 'mean': MEAN, 'std': STD},
    ],
)
def test_policy_with_colours_equals_its_cell_with_any_option(num_frames: int, options: dict) -> None:
    cell, images = decided_cell(num_frames, **{'space': 'large', **options}), random_images()
    policy = PolicyClip(cell.to_policy(), options.get('mean'), options.get('std')).eval()
    assert not is_linear(policy.operations)
    torch.testing.assert_close(policy(images), cell(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('space', ['paper', 'large'])
@pytest.mark.parametrize('num_frames', [1, 2, 3, 8])
@pytest.mark.parametrize('seed', range(3))
def test_reference_frame_is_untouched_bit_for_bit(seed: int, num_frames: int, space: str, training: bool) -> None:
    policy, images = Policy.random(num_frames, space, seed=seed), random_images()
    middle = num_frames // 2 * 3
    clip = PolicyClip(policy, MEAN, STD).train(training)(images)
    assert torch.equal(clip[:, middle : middle + 3], images)


def test_single_frame_is_the_image_itself() -> None:
    images = random_images()
    assert PolicyClip(Policy.random(1))(images) is images


def test_chain_with_colours_applies_one_operation_after_the_other() -> None:
    steps = [('rotate', 9.0), ('translate_x', 0.1), ('brightness', 0.1)]
    edges = tuple(PolicyEdge(node + 1, node + 2, *step) for node, step in enumerate(steps))
    images = random_images(dtype=torch.float64)
    clip = PolicyClip(Policy(3, 3, edges)).double()(images)
    for t, offset in ((0, -1), (2, 1)):
        frame = images
        for name, strength in steps:
            function = getattr(affine, name, None) or getattr(photometric, name)
            frame = function(frame, torch.full((2,), strength * offset, dtype=torch.float64))
        torch.testing.assert_close(clip[:, 3 * t : 3 * t + 3], frame, atol=1e-6, rtol=0)


def test_edges_to_nodes_that_lead_nowhere_do_not_matter() -> None:
    edges = (PolicyEdge(0, 2, 'scale', 0.2), PolicyEdge(0, 3, 'rotate', 9.0))
    other = (PolicyEdge(0, 2, 'invert', 0.2), PolicyEdge(0, 3, 'rotate', 9.0))
    first, second = (PolicyClip(Policy(4, 2, some))(random_images()) for some in (edges, other))
    assert torch.equal(first, second)


@pytest.mark.parametrize('name', ['noise', 'cutout'])
def test_random_operations_draw_afresh_in_training_and_repeat_in_evaluation(name: str) -> None:
    policy = PolicyClip(Policy(3, 1, (PolicyEdge(0, 2, name, OPERATIONS[name].high),)))
    images = random_images(size=(31, 33))
    assert not torch.equal(policy.train()(images), policy(images))
    assert torch.equal(policy.eval()(images), policy(images))
    torch.testing.assert_close(policy(images[1:])[0], policy(images)[1])


@pytest.mark.parametrize('space', ['paper', 'large'])
def test_images_of_a_batch_do_not_leak_into_each_other(space: str) -> None:
    policy, images = PolicyClip(Policy.random(4, space, seed=2)).eval(), random_images(3)
    before, after = policy(images), policy(torch.cat([images[:1], 1 - images[1:2], images[2:]]))
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])


def test_policy_has_nothing_to_learn_or_to_store() -> None:
    policy = PolicyClip(Policy.random(4, 'large'), MEAN, STD)
    assert not list(policy.parameters())
    assert not policy.state_dict()
    assert policy.num_frames == 4


def test_copy_of_a_policy_gives_the_same_clip() -> None:
    policy = PolicyClip(Policy.random(4, 'large')).eval()
    assert torch.equal(copy.deepcopy(policy)(random_images()), policy(random_images()))


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('space', ['paper', 'large'])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_clip_has_the_precision_of_the_images(dtype: torch.dtype, space: str, training: bool) -> None:
    policy = PolicyClip(Policy.random(4, space, seed=2), MEAN, STD).train(training)
    assert policy(random_images(dtype=dtype)).dtype == dtype


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_warps_of_images_in_half_precision_do_not_miss_their_pixels(dtype: torch.dtype, training: bool) -> None:
    """Positions in half precision are wrong by pixels at the far side of such an image."""
    policy, images = PolicyClip(Policy.random(4, seed=2)).train(training), random_images(1, (64, 1030), dtype)
    torch.testing.assert_close(policy(images).float(), policy(images.float()), atol=4 * torch.finfo(dtype).eps, rtol=0)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('space', ['paper', ['rotate', 'brightness']])
def test_autocast_does_not_change_the_clip(space: str | list[str], training: bool) -> None:
    def clip() -> Tensor:
        return PolicyClip(Policy.random(4, space, seed=3), MEAN, STD).train(training)(random_images())

    expected = clip()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(clip(), expected)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('degree', range(1, 9))
def test_reference_frame_is_untouched_by_means_of_any_number_of_edges(degree: int, dtype: torch.dtype) -> None:
    """The shares of 3, 5, 6 or 7 edges are no binary fractions."""
    pairs = [(0, target) for target in range(2, degree)] + [(source, max(degree, 2)) for source in range(degree)]
    edges = tuple(PolicyEdge(*pair, 'rotate', 3.0) for pair in pairs)
    clip, images = PolicyClip(Policy(3, max(degree, 2) - 1, edges)), random_images(dtype=dtype)
    for training in (False, True):
        assert torch.equal(clip.train(training)(images)[:, 3:6], images)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('space', ['paper', 'large'])
def test_empty_batch_gives_an_empty_clip(space: str, training: bool) -> None:
    policy = PolicyClip(Policy.random(4, space, seed=1)).train(training)
    assert policy(random_images()[:0]).shape == (0, 12, 9, 13)


@pytest.mark.parametrize('rearrange', [lambda x: x.to(memory_format=torch.channels_last), lambda x: x.mT.clone().mT])
@pytest.mark.parametrize('space', ['paper', 'large'])
def test_images_and_their_layout_do_not_change(space: str, rearrange: Callable[[Tensor], Tensor]) -> None:
    policy, images = PolicyClip(Policy.random(4, space, seed=2)), rearrange(random_images())
    for training in (False, True):
        torch.manual_seed(0)
        clip = policy.train(training)(images)
        torch.manual_seed(0)
        torch.testing.assert_close(clip, policy(random_images()), atol=1e-6, rtol=0)
    assert torch.equal(images, random_images())


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('space', ['paper', ['rotate', 'brightness']])
def test_integer_images_are_refused(space: str | list[str], training: bool) -> None:
    """They would be cut to whole numbers, or taken for images in [0, 1]."""
    policy = PolicyClip(Policy.random(4, space, seed=1)).train(training)
    with pytest.raises(ValueError, match='images must be floating point, got torch.uint8'):
        policy(torch.zeros(1, 3, 4, 5, dtype=torch.uint8))
