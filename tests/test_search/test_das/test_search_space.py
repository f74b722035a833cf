from itertools import pairwise

import pytest
import torch

from mmdas.search.augmentation.operations import AUGMENT_OPERATIONS
from mmdas.search.das import OPERATIONS, SPACES, build_space, get_operation
from mmdas.search.das.search_space import draw_index, split_ranges


def test_paper_space_has_the_ranges_of_the_authors() -> None:
    ranges = {operation.name: (operation.low, operation.high) for operation in build_space('paper')}
    assert ranges == {
        'identity': (0, 0),
        'translate_x': (-0.12, 0.12),
        'translate_y': (-0.12, 0.12),
        'rotate': (-20, 20),
        'scale': (-0.3, 0.3),
    }


def test_large_space_holds_the_whole_table_but_the_flip_and_the_paper_space() -> None:
    assert SPACES['large'] == tuple(name for name in OPERATIONS if name != 'horizontal_flip')
    assert set(SPACES['paper']) < set(SPACES['large'])
    assert SPACES['flips'] == (*SPACES['paper'], 'horizontal_flip')


@pytest.mark.parametrize('name', OPERATIONS)
def test_zero_strength_leaves_the_image_unchanged(name: str) -> None:
    images = torch.rand(2, 3, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    changed = get_operation(name).function(images, torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(changed, images, atol=1e-12, rtol=0)


@pytest.mark.parametrize('name', SPACES['large'][1:])
def test_highest_strength_changes_the_image_two_steps_away(name: str) -> None:
    images = torch.rand(2, 3, 19, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    operation = get_operation(name)
    strength = torch.tensor(operation.high, dtype=torch.float64)
    changed = operation.function(images, operation.magnitude(strength, torch.full((2,), 2.0)))
    assert changed.shape == images.shape
    assert (changed - images).abs().amax(dim=(1, 2, 3)).min() > 1e-3


def test_space_keeps_the_order_of_its_names() -> None:
    assert [operation.name for operation in build_space(['scale', 'identity'])] == ['scale', 'identity']


def test_ranges_replace_those_of_the_table_alone() -> None:
    narrow = build_space('paper', {'rotate': (-5, 10)})
    assert [(operation.low, operation.high) for operation in narrow if operation.name == 'rotate'] == [(-5, 10)]
    assert [operation for operation in narrow if operation.name != 'rotate'] == [
        operation for operation in build_space('paper') if operation.name != 'rotate'
    ]
    assert get_operation('rotate').high == 20


def test_inherited_range_of_an_operation_outside_the_space_changes_nothing() -> None:
    ranges = {'rotate': (-5, 10), 'noise': (0, 0.1)}
    assert build_space(['rotate', 'scale'], ranges) == build_space(['rotate', 'scale'], {'rotate': (-5, 10)})


@pytest.mark.parametrize('space', ['huge', ['rotate', 'twist'], ['rotate', 'rotate'], []])
def test_unusable_space_is_refused(space) -> None:
    with pytest.raises(ValueError, match='space|unknown operation'):
        build_space(space)


@pytest.mark.parametrize(
    ('ranges', 'message'),
    [
        ({'twist': (0, 1)}, 'twist'),
        ({'noise': (1, 0)}, 'noise'),  # of the table, but not of the space
        ({'rotate': (5, -5)}, 'rotate.*low <= high'),
        ({'rotate': (0, float('inf'))}, 'rotate.*finite'),
        ({'rotate': (float('nan'), 5)}, 'rotate.*finite'),
        ({'rotate': (5,)}, r'rotate.*\(low, high\)'),
        ({'scale': (-1, 0.5)}, 'scale.*low > -1'),
        ({'rotate': (0, 0)}, r'rotate holds no strength that acts; leave .* out of the space, got \(0, 0\)'),
        ({'rotate': (360, 360)}, r'rotate must lie within -180 and 180 \(degree a frame\), got \(360, 360\)'),
        ({'translate_x': (-1.5, 0)}, 'translate_x must lie within -1 and 1'),
        ({'identity': (1, 2)}, 'identity means nothing'),
        ({'rotate': 5}, r'rotate.*\(low, high\), two numbers, got 5'),
        ({'rotate': ('a', 'b')}, r'rotate.*two numbers'),
        ({'horizontal_flip': (2, 2)}, r'horizontal_flip must be one odd number of flips, such as \(1, 1\)'),
        ({'horizontal_flip': (0, 1)}, 'one odd number of flips'),
        ({'horizontal_flip': (0.2, 0.2)}, 'one odd number of flips'),
    ],
)
def test_unusable_range_is_refused_by_name(ranges: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_space('paper', ranges)


def test_limits_are_those_of_augmentation_policies() -> None:
    for name in OPERATIONS.keys() & AUGMENT_OPERATIONS.keys() - {'horizontal_flip', 'identity'}:
        other = AUGMENT_OPERATIONS[name]
        if other.has_magnitude:
            assert OPERATIONS[name].limit == max(-other.low, other.high), name


@pytest.mark.parametrize('name', sorted(set(SPACES['large']) - {'identity'}))
def test_every_operation_acts_at_both_ends_of_every_range_that_its_limit_allows(name: str) -> None:
    limit = get_operation(name).limit
    (operation,) = build_space([name], {name: (0 if get_operation(name).growth == 'power' else -limit, limit)})
    images = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    options = {'generator': torch.Generator().manual_seed(0)} if operation.random else {}
    for strength in {operation.low, operation.high} - {0}:
        magnitude = operation.magnitude(torch.tensor(strength), torch.ones(1))
        assert (operation.function(images, magnitude, **options) - images).abs().max() > 1e-3
    with pytest.raises(ValueError, match=f'{name} must lie within'):
        build_space([name], {name: (0, 1.01 * limit)})


def test_bits_that_are_rounded_to_none_in_every_frame_are_refused() -> None:
    """By the definition, on an image of all levels: a range is refused where no frame of the clip would change."""
    posterize, images = get_operation('posterize'), torch.linspace(0, 1, 3 * 256).view(1, 3, 16, 16)
    for num_frames, high in [(2, 0.5), (2, 0.6), (4, 0.2), (4, 0.25), (4, 0.3), (8, 0.1), (8, 0.2), (1, 0.1)]:
        offsets = torch.arange(num_frames) - float(num_frames // 2)
        clip = posterize.function(images.expand(num_frames, -1, -1, -1), high * offsets)
        if torch.equal(clip, images.expand_as(clip)) and num_frames > 1:
            with pytest.raises(ValueError, match=f'range of posterize.* of {num_frames} frames, which is rounded to'):
                build_space(['posterize'], {'posterize': (0, high)}, num_frames)
        else:
            build_space(['posterize'], {'posterize': (0, high)}, num_frames)
    build_space(['rotate'], {'posterize': (0, 0.1)}, 2)  # not of the space


def test_an_odd_number_of_flips_is_one_flip_a_step() -> None:
    images = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    for number in (1, -1, 3):
        (flips,) = build_space(['horizontal_flip'], {'horizontal_flip': (number, number)})
        magnitude = flips.magnitude(torch.tensor(flips.low), torch.arange(-2.0, 3.0))
        expected = [image.flip(-1) if step % 2 else image for step, image in zip(range(-2, 3), images, strict=True)]
        assert torch.equal(flips.function(images, magnitude), torch.stack(expected))


def test_draws_of_different_sources_and_operations_are_told_apart() -> None:
    numbers = {draw_index(source, name) for source in range(12) for name in OPERATIONS}
    assert len(numbers) == 12 * len(OPERATIONS)


def test_draws_stay_the_same_between_releases() -> None:
    assert draw_index(0, 'noise') == 153624110  # a policy file written today predicts the same tomorrow


@pytest.mark.parametrize('num_strengths', [1, 2, 3, 7])
def test_parts_of_a_range_follow_each_other_and_fill_it(num_strengths: int) -> None:
    space = build_space('paper', {'rotate': (-5, 11)})
    parts = split_ranges(space, num_strengths)
    assert parts[0] == space[0]  # there is one identity
    for operation in space[1:]:
        bounds = [(part.low, part.high) for part in parts if part.name == operation.name]
        assert len(bounds) == num_strengths
        assert (bounds[0][0], bounds[-1][1]) == (operation.low, operation.high)
        assert all(high == low for (_, high), (low, _) in pairwise(bounds))
        widths = [high - low for low, high in bounds]
        assert widths == pytest.approx([(operation.high - operation.low) / num_strengths] * num_strengths)


def test_range_is_not_split_into_nothing() -> None:
    with pytest.raises(ValueError, match='num_strengths must be at least 1, got 0'):
        split_ranges(build_space('paper'), 0)
