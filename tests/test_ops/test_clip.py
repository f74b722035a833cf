import pytest
import torch
from torch import Tensor

from mmdas.ops.clip import (
    clip_around,
    clip_to_frames,
    frame_offsets,
    frames_to_clip,
    image_to_table,
    reference_frame,
    repeat_image,
    split_frames,
    table_to_time_major,
    time_major_to_clip,
)

B, C, H, W = 2, 3, 4, 5
NUM_FRAMES = [1, 2, 3, 8, 16]


def constant(image: int, frame: int, channel: int) -> float:
    """The value of all pixels of one channel of one frame, different for each."""
    return 1000.0 * image + 10.0 * frame + channel


def constant_clip(num_frames: int) -> Tensor:
    """(B, T*C, H, W) written channel by channel from the definition of a clip."""
    clip = torch.empty(B, num_frames * C, H, W)
    for image in range(B):
        for frame in range(num_frames):
            for channel in range(C):
                clip[image, frame * C + channel] = constant(image, frame, channel)
    return clip


def assert_constant(values: Tensor, image: int, frame: int, channel: int) -> None:
    assert values.shape == (H, W)
    assert (values == constant(image, frame, channel)).all()


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('num_frames', NUM_FRAMES)
def test_frames_of_an_image_are_adjacent(num_frames: int, memory_format: torch.memory_format) -> None:
    frames = clip_to_frames(constant_clip(num_frames).to(memory_format=memory_format), num_frames)
    assert frames.shape == (B * num_frames, C, H, W)
    for index, frame in enumerate(frames):
        for channel, values in enumerate(frame):
            assert_constant(values, *divmod(index, num_frames), channel)


@pytest.mark.parametrize('num_frames', NUM_FRAMES)
def test_split_frames_counts_images_and_frames_apart(num_frames: int) -> None:
    split = split_frames(clip_to_frames(constant_clip(num_frames), num_frames), num_frames)
    assert split.shape == (B, num_frames, C, H, W)
    for image, frame, channel in torch.cartesian_prod(*map(torch.arange, split.shape[:3])).tolist():
        assert_constant(split[image, frame, channel], image, frame, channel)


@pytest.mark.parametrize('num_frames', NUM_FRAMES)
def test_time_major_frames_become_the_clip(num_frames: int) -> None:
    frames = [[[constant(image, t, c) for c in range(C)] for image in range(B)] for t in range(num_frames)]
    time_major = torch.tensor(frames)[..., None, None].expand(num_frames, B, C, H, W)
    assert torch.equal(time_major_to_clip(time_major), constant_clip(num_frames))


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('num_frames', NUM_FRAMES)
def test_clip_survives_the_way_to_frames_and_back(num_frames: int, memory_format: torch.memory_format) -> None:
    clip = torch.rand(B, num_frames * C, H, W).to(memory_format=memory_format)
    assert torch.equal(frames_to_clip(clip_to_frames(clip, num_frames), num_frames), clip)


@pytest.mark.parametrize('shape', [(), (7,), (7, 2, 3, 4)])
def test_split_frames_takes_any_trailing_shape(shape: tuple[int, ...]) -> None:
    values = torch.rand(6, *shape)
    assert torch.equal(split_frames(values, 3).flatten(0, 1), values)


@pytest.mark.parametrize('num_frames', NUM_FRAMES)
def test_every_frame_of_a_repeated_image_is_the_image(num_frames: int) -> None:
    images = torch.rand(B, C, H, W)
    frames = split_frames(clip_to_frames(repeat_image(images, num_frames), num_frames), num_frames)
    assert torch.equal(frames, images[:, None].expand_as(frames))


def test_one_repetition_returns_the_images_themselves() -> None:
    images = torch.rand(B, C, H, W)
    assert repeat_image(images, 1) is images


@pytest.mark.parametrize(
    ('num_frames', 'offsets'),
    [(1, [0]), (2, [-1, 0]), (3, [-1, 0, 1]), (4, [-2, -1, 0, 1]), (8, [-4, -3, -2, -1, 0, 1, 2, 3])],
)
def test_offsets_count_from_the_reference_frame(num_frames: int, offsets: list[int]) -> None:
    assert frame_offsets(num_frames).tolist() == offsets
    assert offsets[reference_frame(num_frames)] == 0


@pytest.mark.parametrize('num_frames', [0, -1])
@pytest.mark.parametrize(
    'function',
    [
        reference_frame,
        frame_offsets,
        lambda num_frames: repeat_image(torch.zeros(B, C, H, W), num_frames),
        lambda num_frames: clip_to_frames(torch.zeros(B, 6, H, W), num_frames),
        lambda num_frames: frames_to_clip(torch.zeros(6, C, H, W), num_frames),
        lambda num_frames: split_frames(torch.zeros(6, C, H, W), num_frames),
    ],
)
def test_fewer_than_one_frame_is_refused(function, num_frames: int) -> None:
    with pytest.raises(ValueError, match=f'num_frames.*{num_frames}'):
        function(num_frames)


def test_channels_that_do_not_divide_into_frames_are_refused() -> None:
    with pytest.raises(ValueError, match='7 channels does not divide into num_frames=3'):
        clip_to_frames(torch.zeros(B, 7, H, W), 3)


@pytest.mark.parametrize('function', [frames_to_clip, split_frames])
def test_frames_that_do_not_divide_into_clips_are_refused(function) -> None:
    with pytest.raises(ValueError, match='7 frames do not divide into clips of num_frames=3'):
        function(torch.zeros(7, C, H, W), 3)


def test_table_holds_a_pixel_in_every_row_and_goes_back_to_frames() -> None:
    frames = torch.arange(2 * 3 * 2 * 4 * 5).view(2, 3, 2, 4, 5)  # (T, B, C, H, W), every value its own
    table = torch.cat([image_to_table(images) for images in frames])
    assert table.shape == (2 * 4 * 5, 3 * 2)
    assert torch.equal(table[1 * 20 + 2 * 5 + 3], frames[1, :, :, 2, 3].flatten())
    assert torch.equal(table_to_time_major(table, frames.shape[1:]), frames)


@pytest.mark.parametrize('num_frames', [1, 2, 3, 8])
def test_clip_around_a_reference_frame_has_it_in_the_middle(num_frames: int) -> None:
    frames = torch.arange(num_frames * 2 * 3).view(num_frames, 2, 3, 1, 1)
    middle = num_frames // 2
    others = torch.cat([frames[:middle], frames[middle + 1 :]])
    assert torch.equal(clip_around(frames[middle], others), time_major_to_clip(frames))
