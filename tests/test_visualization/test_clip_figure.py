from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from mmdas.search.das import Policy, PolicyClip, PolicyEdge
from mmdas.visualization import clip_to_images, describe_clip, draw_clips

MEANS = {1: [90.0], 3: [123.675, 116.28, 103.53]}
STDS = {1: [45.0], 3: [58.395, 57.12, 57.375]}


def coded_pixels(num_frames: int, channels: int, batch: int = 2) -> np.ndarray:
    """Images (B, T, C, H, W) in which every (image, frame, channel) has its own constant value."""
    count = batch * num_frames * channels
    values = (np.arange(count) * (255 // count)).astype(np.uint8).reshape(batch, num_frames, channels, 1, 1)
    return np.broadcast_to(values, (batch, num_frames, channels, 4, 6))


def normalised_clip(pixels: np.ndarray) -> Tensor:
    """The clip (B, T*C, H, W) of images (B, T, C, H, W), put together frame by frame and channel by channel."""
    batch, num_frames, channels = pixels.shape[:3]
    planes = [
        (pixels[:, t, c].astype(np.float32) - MEANS[channels][c]) / STDS[channels][c]
        for t in range(num_frames)
        for c in range(channels)
    ]
    return torch.from_numpy(np.stack(planes, axis=1))


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('num_frames', [1, 4, 5, 16])
def test_every_frame_and_channel_of_a_clip_comes_back_in_its_place(num_frames: int, channels: int) -> None:
    pixels = coded_pixels(num_frames, channels)
    images = clip_to_images(normalised_clip(pixels), num_frames, MEANS[channels], STDS[channels])
    assert images.dtype == np.uint8
    assert images.shape == (2, num_frames, 4, 6, 3)
    for channel in range(3):
        np.testing.assert_array_equal(images[..., channel], pixels[:, :, min(channel, channels - 1)])


def test_values_outside_the_pixel_range_are_clipped_instead_of_wrapped() -> None:
    clip = torch.tensor([-1e4, 300.0, 17.4]).view(1, 3, 1, 1)
    assert clip_to_images(clip, 1).tolist() == [[[[[0, 255, 17]]]]]


def test_a_clip_with_gradient_is_shown_and_stays_as_it_is() -> None:
    clip = torch.rand(1, 6, 4, 4, requires_grad=True)
    before = clip.detach().clone()
    clip_to_images(clip, 2, [100.0], [50.0])
    assert torch.equal(clip, before)


def test_the_reference_frame_of_a_policys_clip_is_the_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 1, 3, 16, 16), dtype=np.uint8)
    policy = PolicyClip(Policy.random(num_frames=5, seed=1), MEANS[3], STDS[3])
    images = clip_to_images(policy(normalised_clip(pixels)), 5, MEANS[3], STDS[3])
    np.testing.assert_array_equal(images[0, 2], pixels[0, 0].transpose(1, 2, 0))
    assert not np.array_equal(images[0, 0], images[0, 2])


@pytest.mark.parametrize(
    ('channels', 'num_frames', 'options', 'message'),
    [
        (8, 4, {}, '1 or 3 channels to be shown, got 2'),
        (8, 3, {}, 'does not divide'),
        (6, 2, {'mean': [1.0, 2.0]}, 'mean has 2 values for frames of 3 channels'),
    ],
)
def test_a_clip_that_cannot_be_shown_is_refused(channels: int, num_frames: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clip_to_images(torch.zeros(1, channels, 4, 4), num_frames, **options)


@pytest.mark.parametrize('num_frames', [1, 2, 5, 8])
def test_only_the_reference_frame_is_marked(num_frames: int) -> None:
    clips = np.zeros((2, num_frames, 4, 4, 3), dtype=np.uint8)
    axes = draw_clips(clips).axes
    marked = [position for position, plot in enumerate(axes) if plot.spines['left'].get_visible()]
    assert marked == [num_frames // 2, num_frames + num_frames // 2]


def test_saved_picture_has_a_row_for_each_image_and_a_column_for_each_frame(tmp_path: Path) -> None:
    sizes = {}
    for batch, num_frames in [(1, 1), (3, 1), (1, 3)]:
        path = tmp_path / f'{batch}-{num_frames}.png'
        draw_clips(np.full((batch, num_frames, 8, 8, 3), 200, np.uint8)).savefig(path, dpi=100)
        sizes[batch, num_frames] = cv2.imread(str(path)).shape[:2]
    height, width = sizes[1, 1]
    assert min(height, width) > 100
    assert sizes[3, 1][1] == width and sizes[3, 1][0] > 2 * height
    assert sizes[1, 3][0] == height and sizes[1, 3][1] > 2 * width


def test_caption_tells_the_operations_of_every_path_with_strength_and_unit() -> None:
    edges = (PolicyEdge(0, 2, 'rotate', 3.0), PolicyEdge(2, 3, 'translate_x', -0.05), PolicyEdge(1, 3, 'identity', 0.0))
    text = describe_clip(Policy(4, 2, edges))
    assert text == (
        'a step (signed ramp, mean of the paths): rotate +3 degree, then translate_x -0.05 width\nthe image'
    )
    figure = draw_clips(np.zeros((1, 4, 4, 4, 3), dtype=np.uint8), caption=text)
    assert ''.join(figure.texts[0].get_text().split()) == ''.join(text.split())


def test_caption_of_very_many_paths_is_short() -> None:
    edges = [PolicyEdge(source, node, 'rotate', 1.0 * node) for node in range(2, 40) for source in (node - 2, node - 1)]
    assert describe_clip(Policy(4, 38, tuple(edges))).endswith('and more')


def test_each_clip_needs_its_title() -> None:
    with pytest.raises(ValueError, match='1 titles for 2 clips'):
        draw_clips(np.zeros((2, 3, 4, 4, 3), dtype=np.uint8), ['first'])
