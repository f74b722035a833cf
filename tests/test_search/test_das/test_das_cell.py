import copy
import pickle

import pytest
import torch
from cell_reference import assert_equal, build_cell, clip_by_loops, one_hot, random_images
from torch import Tensor

from mmdas.ops import affine
from mmdas.search.das import OPERATIONS, SPACES, DASCell
from mmdas.search.das.search_space import draw_index

RANDOM = ['noise', 'cutout']
STEADY = [name for name in OPERATIONS if name not in RANDOM]
NO_STRENGTH_GRADIENT = ['solarize', 'posterize', 'cutout']


@pytest.mark.parametrize('ramp', ['signed', 'mirrored'])
@pytest.mark.parametrize('num_frames', [1, 2, 3, 8, 16])
def test_clip_equals_loops_for_any_number_of_frames(num_frames: int, ramp: str) -> None:
    cell, images = build_cell(num_frames, ramp=ramp), random_images()
    clip = cell(images)
    assert clip.shape == (2, num_frames * 3, 7, 10)
    assert_equal(clip, clip_by_loops(cell, images, ramp=ramp))


@pytest.mark.parametrize('node_reduction', ['mean', 'sum'])
@pytest.mark.parametrize('share_strength', [False, True])
@pytest.mark.parametrize('strength', ['fixed', 'learned'])
def test_clip_equals_loops_for_any_strengths_and_reduction(
    strength: str, share_strength: bool, node_reduction: str
) -> None:
    cell = build_cell(strength=strength, share_strength=share_strength, node_reduction=node_reduction)
    assert cell.strengths().shape == (1 if share_strength else 5, 5)
    assert_equal(cell(random_images()), clip_by_loops(cell, random_images(), reduction=node_reduction))


@pytest.mark.parametrize('share_strength', [False, True])
def test_clip_of_four_nodes_equals_loops(share_strength: bool) -> None:
    cell = build_cell(num_nodes=4, share_strength=share_strength)
    assert cell.logits.shape == (14, 5)
    assert_equal(cell(random_images()), clip_by_loops(cell, random_images()))


@pytest.mark.parametrize('share_strength', [False, True])
@pytest.mark.parametrize('strength', ['fixed', 'learned'])
def test_clip_of_several_strengths_an_operation_equals_loops(strength: str, share_strength: bool) -> None:
    cell = build_cell(strength=strength, share_strength=share_strength, num_strengths=3)
    assert cell.logits.shape == (5, 13)
    assert_equal(cell(random_images()), clip_by_loops(cell, random_images()))


@pytest.mark.parametrize('strength', ['fixed', 'learned'])
def test_strengths_of_an_operation_come_from_the_parts_of_its_range(strength: str) -> None:
    cell = build_cell(strength=strength, num_strengths=4, ranges={'rotate': (0.0, 8.0)})
    rotations = [column for column, name in enumerate(cell.operation_names) if name.startswith('rotate')]
    assert [cell.operation_names[column] for column in rotations] == [f'rotate_{part}' for part in (1, 2, 3, 4)]
    drawn = cell.strengths()[:, rotations]
    assert torch.equal((drawn / 2).floor(), torch.arange(4).expand_as(drawn))
    assert len(drawn.unique()) == drawn.numel()  # every edge has its own


def test_one_strength_an_operation_is_drawn_as_ever() -> None:
    cell = build_cell(num_strengths=1)
    assert torch.equal(cell.strengths(), build_cell().strengths())
    assert cell.operation_names == list(SPACES['paper'])


@pytest.mark.parametrize('padding', ['border', 'reflection'])
def test_clip_equals_loops_for_any_padding(padding: str) -> None:
    cell = build_cell(padding=padding)
    assert_equal(cell(random_images()), clip_by_loops(cell, random_images(), padding=padding))


@pytest.mark.parametrize('size', [(5, 17), (17, 5), (1, 1)])
def test_clip_of_the_large_space_equals_loops(size: tuple[int, int]) -> None:
    cell, images = build_cell(space=STEADY), random_images(size=size)
    assert_equal(cell(images), clip_by_loops(cell, images))


def test_single_frame_is_the_image_itself() -> None:
    images = random_images()
    assert build_cell(1, space='large')(images) is images


@pytest.mark.parametrize('num_frames', [2, 3, 8])
def test_reference_frame_stays_the_image(num_frames: int) -> None:
    images, middle = random_images(), num_frames // 2 * 3
    assert_equal(build_cell(num_frames, 4, space='large')(images)[:, middle : middle + 3], images)


def test_cell_of_the_paper_is_linear_in_the_image() -> None:
    cell, (first, second) = build_cell(4, 4), random_images().split(1)
    assert_equal(cell(0.3 * first - 2 * second), 0.3 * cell(first) - 2 * cell(second))


@pytest.mark.parametrize('ramp', ['signed', 'mirrored'])
@pytest.mark.slow
def test_gradients_of_mixture_logits_and_learned_strengths(ramp: str) -> None:
    cell, images = build_cell(strength='learned', ramp=ramp), random_images(1, (6, 5))[:, :1]

    def clip(logits: Tensor, strength_logits: Tensor) -> Tensor:
        parameters = {'logits': logits, 'strength_logits': strength_logits}
        return torch.func.functional_call(cell, parameters, images)

    assert torch.autograd.gradcheck(clip, (cell.logits, cell.strength_logits), atol=1e-6)


@pytest.mark.slow
def test_gradient_of_the_mixture_logits_of_all_operations() -> None:
    """One node, so that no operation without a gradient follows another."""
    cell, images = build_cell(num_nodes=1, space='large'), random_images(1, (6, 5))

    def clip(logits: Tensor) -> Tensor:
        return torch.func.functional_call(cell, {'logits': logits}, images)

    assert torch.autograd.gradcheck(clip, (cell.logits,), atol=1e-6)


@pytest.mark.parametrize('training', [True, False])
def test_every_operation_of_the_large_space_passes_a_gradient_to_its_logit(training: bool) -> None:
    cell, images = build_cell(4, 3, space='large', strength='learned').train(training), random_images(size=(13, 17))
    (cell(images) * torch.randn(2, 12, 13, 17, generator=torch.Generator().manual_seed(2))).sum().backward()
    assert cell.logits.grad.abs().min() > 0
    names = [operation.name for operation in cell.operations]
    moved = {name for name, moves in zip(names, (cell.strength_logits.grad != 0).any(dim=0), strict=True) if moves}
    assert moved == set(names) - {'identity', *NO_STRENGTH_GRADIENT}


@pytest.mark.parametrize('share_strength', [False, True])
@pytest.mark.parametrize('name', OPERATIONS)
def test_one_hot_cell_equals_its_operation(name: str, share_strength: bool) -> None:
    cell, images = build_cell(num_nodes=1, space=list(OPERATIONS), share_strength=share_strength), random_images()
    column = list(OPERATIONS).index(name)
    cell.choose(0, column)
    cell.choose(1, column)
    cell.keep_edges(2, [1])
    strength = cell.strengths()[0 if share_strength else 1, column].item()
    if name not in RANDOM:
        assert_equal(cell(images), clip_by_loops(cell, images, one_hot(cell, [column] * 2), gone=[0]))
    frames = images.expand(3, *images.shape)
    draw = draw_index(0, name)
    expected = cell.transform(frames, OPERATIONS[name], torch.tensor(strength, dtype=torch.float64), draw)
    assert_equal(cell(images), expected.transpose(0, 1).flatten(1, 2))


def test_images_of_a_batch_do_not_leak_into_each_other() -> None:
    cell, images = build_cell(space='large'), random_images(3)
    other = torch.cat([images[:1], 1 - images[1:2], images[2:]])
    before, after = cell(images), cell(other)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])


def test_evaluation_repeats_and_does_not_depend_on_the_batch() -> None:
    cell, images = build_cell(space='large'), random_images(3)
    clip = cell(images)
    torch.manual_seed(3)
    assert torch.equal(cell(images), clip)
    for index in range(3):
        assert_equal(cell(images[index : index + 1])[0], clip[index])


@pytest.mark.parametrize('share_strength', [False, True])
@pytest.mark.parametrize('name', RANDOM)
def test_training_draws_afresh(name: str, share_strength: bool) -> None:
    cell, images = build_cell(space=[name], share_strength=share_strength).train(), random_images(size=(31, 33))
    torch.manual_seed(0)
    first, second = cell(images), cell(images)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(cell(images), first)


@pytest.mark.parametrize('strength', ['fixed', 'learned'])
def test_same_seed_gives_the_same_cell(strength: str) -> None:
    first, second, other = (DASCell(3, 'large', strength=strength, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.strengths(), second.strengths())
    assert not torch.equal(first.logits, other.logits)
    assert not torch.equal(first.strengths(), other.strengths())


def test_construction_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    DASCell(3)
    assert torch.equal(torch.get_rng_state(), state)


def test_learned_strengths_start_at_the_fixed_ones() -> None:
    fixed, learned = (DASCell(3, list(OPERATIONS), strength=strength).strengths() for strength in ('fixed', 'learned'))
    span = torch.tensor([operation.high - operation.low for operation in OPERATIONS.values()])
    assert ((fixed - learned).abs() <= 2e-4 * span).all()


@pytest.mark.parametrize('ranges', [None, {'rotate': (3.0, 4.0), 'scale': (0.1, 0.1)}])
@pytest.mark.parametrize('strength', ['fixed', 'learned'])
def test_strengths_lie_within_the_ranges(strength: str, ranges: dict | None) -> None:
    cell = DASCell(3, 'large', strength=strength, ranges=ranges)
    assert_within_ranges(cell)
    rows = cell.strengths().detach()[:, 1:3].unique(dim=0)
    assert len(rows) == 14  # every edge has its own


def assert_within_ranges(cell: DASCell) -> None:
    low, high = (torch.tensor([getattr(op, bound) for op in cell.operations]) for bound in ('low', 'high'))
    assert ((cell.strengths() >= low - 1e-6) & (cell.strengths() <= high + 1e-6)).all()


def test_learned_strengths_stay_within_the_ranges_after_big_steps() -> None:
    cell = DASCell(3, 'large', num_nodes=2, strength='learned')
    before = cell.strengths().detach()
    optimizer = torch.optim.Adam([cell.strength_logits], lr=50)
    for _ in range(2):
        optimizer.zero_grad()
        cell(random_images(dtype=torch.float32)).square().sum().backward()
        optimizer.step()
    assert (cell.strengths() - before).abs().max() > 1
    assert_within_ranges(cell)


def test_learned_strength_follows_its_gradient() -> None:
    """The only frame beside the reference shall be the image moved by 0.05 of the width per step."""
    images = torch.nn.functional.avg_pool2d(random_images(1, (24, 24)), 9, stride=1, padding=4)
    target = affine.translate_x(images, torch.tensor([-0.05], dtype=torch.float64))
    cell = DASCell(2, ['translate_x'], num_nodes=1, strength='learned', share_strength=True).double()
    optimizer = torch.optim.Adam([cell.strength_logits], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (cell(images)[:, :3] - target).square().mean().backward()
        optimizer.step()
    assert cell.strengths().item() == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda cell: pickle.loads(pickle.dumps(cell))])
def test_copy_of_a_cell_is_independent(duplicate) -> None:
    cell, images = build_cell(space='large', strength='learned'), random_images()
    copied, before = duplicate(cell), cell(images)
    assert torch.equal(copied(images), before)
    with torch.no_grad():
        cell.logits.add_(torch.randn_like(cell.logits))
        cell.strength_logits.zero_()
    cell.choose(0, 3)
    cell.keep_edges(3, [3])
    assert torch.equal(copied(images), before)
    assert not torch.equal(cell(images), before)


def test_channels_last_images_give_the_same_clip() -> None:
    cell, images = build_cell(space='large'), random_images()
    assert_equal(cell(images.to(memory_format=torch.channels_last)), cell(images))


def test_autocast_does_not_change_the_clip() -> None:
    cell, images = build_cell(space='large', strength='learned').float(), random_images(dtype=torch.float32)
    expected = cell(images)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(cell(images), expected)


def test_images_are_not_changed_in_place() -> None:
    images = random_images()
    build_cell(space='large').train()(images)
    assert torch.equal(images, random_images())


@pytest.mark.parametrize('frames_kept', [1, 2])
def test_entropy_counts_the_operations_in_use(frames_kept: int) -> None:
    cell = build_cell()
    with torch.no_grad():
        cell.logits.fill_(-1000)
        cell.logits[:, :frames_kept] = 0
    assert_equal(cell.entropy(), torch.full((5,), frames_kept, dtype=torch.float64).log())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'num_frames': 0}, 'num_frames.*0'),
        ({'space': 'huge'}, "'huge'"),
        ({'space': ['twist']}, "'twist'"),
        ({'num_nodes': 0}, 'num_nodes=0'),
        ({'ramp': 'up'}, "ramp.*'up'"),
        ({'strength': 'free'}, "strength.*'free'"),
        ({'ranges': {'rotate': (1, 0)}}, 'rotate'),
        ({'padding': 'circular'}, "padding.*'circular'"),
        ({'node_reduction': 'max'}, "node_reduction.*'max'"),
        ({'mean': [0.5] * 3}, 'mean and std'),
        ({'seed': -1}, 'seed.*-1'),
    ],
)
def test_unusable_option_is_refused_at_once(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DASCell(**{'num_frames': 3, **options})
