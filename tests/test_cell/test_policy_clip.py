import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmdas.cell import OPERATIONS, DASCell, Policy, PolicyClip, PolicyEdge
from mmdas.ops import affine

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
@pytest.mark.parametrize('space', ['paper', 'large'])
def test_policy_equals_the_cell_that_is_one_hot_on_it(
    space: str, ramp: str, share_strength: bool, seed: int, tmp_path: Path
) -> None:
    cell = decided_cell(space=space, ramp=ramp, share_strength=share_strength, seed=seed)
    cell.to_policy().save(tmp_path / 'policy.json')
    policy = PolicyClip(Policy.load(tmp_path / 'policy.json')).eval()
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
def test_policy_equals_its_cell_with_any_option(num_frames: int, options: dict) -> None:
    cell, images = decided_cell(num_frames, **options), random_images()
    policy = PolicyClip(cell.to_policy(), options.get('mean'), options.get('std')).eval()
    torch.testing.assert_close(policy(images), cell(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('num_frames', [1, 2, 3, 8])
@pytest.mark.parametrize('seed', range(3))
def test_reference_frame_is_untouched_bit_for_bit(seed: int, num_frames: int, training: bool) -> None:
    policy, images = Policy.random(num_frames, 'large', seed=seed), random_images()
    middle = num_frames // 2 * 3
    clip = PolicyClip(policy, MEAN, STD).train(training)(images)
    assert torch.equal(clip[:, middle : middle + 3], images)


def test_single_frame_is_the_image_itself() -> None:
    images = random_images()
    assert PolicyClip(Policy.random(1))(images) is images


def test_chain_of_nodes_applies_one_operation_after_the_other() -> None:
    edges = (PolicyEdge(1, 2, 'rotate', 9.0), PolicyEdge(2, 3, 'translate_x', 0.1))
    images = random_images(dtype=torch.float64)
    clip = PolicyClip(Policy(3, 2, edges)).double()(images)
    for t, step in ((0, -1), (2, 1)):
        turned = affine.rotate(images, torch.full((2,), 9.0 * step, dtype=torch.float64))
        moved = affine.translate_x(turned, torch.full((2,), 0.1 * step, dtype=torch.float64))
        torch.testing.assert_close(clip[:, 3 * t : 3 * t + 3], moved, atol=1e-6, rtol=0)


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


def test_images_of_a_batch_do_not_leak_into_each_other() -> None:
    policy, images = PolicyClip(Policy.random(4, 'large', seed=2)).eval(), random_images(3)
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


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_clip_has_the_precision_of_the_images(dtype: torch.dtype) -> None:
    policy = PolicyClip(Policy.random(4, 'large', seed=2), MEAN, STD).eval()
    assert policy(random_images(dtype=dtype)).dtype == dtype


def test_autocast_does_not_change_the_clip() -> None:
    policy = PolicyClip(Policy.random(4, 'large', seed=3), MEAN, STD).eval()
    expected = policy(random_images())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(policy(random_images()), expected)
