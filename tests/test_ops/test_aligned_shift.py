"""Shifts between frames that were warped differently."""

import copy
from functools import partial

import pytest
import torch
from torch import Tensor

from mmdas.ops.affine import rotate_matrix, scale_matrix, translate_x_matrix, translate_y_matrix, warp_affine
from mmdas.ops.aligned_shift import FrameAlignment, NeighbourWarps
from mmdas.ops.temporal import shift_channels

T, N, C = 4, 2, 7
SIZE = (12, 16)
OFFSETS = torch.arange(T, dtype=torch.float64) - T // 2


def one_size(theta: Tensor, size=SIZE, canvas=None) -> FrameAlignment:
    return FrameAlignment(len(theta), ((None, NeighbourWarps(theta, size, canvas)),))


def frames_of(images: Tensor, theta: Tensor) -> Tensor:
    """(B, C, h, w) -> (B*T, C, h, w), frame t warped by its matrix."""
    frames = [warp_affine(images, matrix.expand(len(images), 2, 3).to(images)) for matrix in theta]
    return torch.stack(frames, dim=1).flatten(0, 1)


def fused_with_itself(frames: Tensor, shift) -> Tensor:
    """Every frame as it is in a clip of T frames that equal it."""
    own = frames.unflatten(0, (-1, T))
    clips = [shift(own[:, [t] * T].flatten(0, 1)).unflatten(0, (-1, T))[:, t] for t in range(T)]
    return torch.stack(clips, dim=1).flatten(0, 1)


@pytest.mark.parametrize('replicate', [False, True])
def test_quarter_turns_are_undone_exactly(replicate):
    theta = rotate_matrix(90 * OFFSETS, (9, 9))
    frames = frames_of(torch.rand(2, C, 9, 9, dtype=torch.float64), theta)
    expected = fused_with_itself(frames, partial(shift_channels, num_frames=T, n=N, replicate=replicate))
    found = one_size(theta, (9, 9)).shift(frames, N, replicate)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
    ordinary = shift_channels(frames, T, N, replicate)
    assert (ordinary - expected).abs().max() > 0.1


def test_integer_shifts_are_undone_exactly_inside():
    theta = translate_x_matrix(2 * OFFSETS / SIZE[1], SIZE)
    frames = frames_of(torch.rand(2, C, *SIZE), theta)
    expected = fused_with_itself(frames, partial(shift_channels, num_frames=T, n=N))
    found = one_size(theta).shift(frames, N)
    torch.testing.assert_close(found[..., 2:-2], expected[..., 2:-2], atol=1e-5, rtol=0)
    # Frame 1 is the image, frame 2, moved left by two pixels: what it has lost is zero.
    assert found.unflatten(0, (-1, T))[:, 2, N : 2 * N, :, :2].abs().max() == 0


def ramp(theta: Tensor, size, canvas=None) -> Tensor:
    """A linear image in the coordinates of frames, outside of the image too: (T, 1, h, w)."""
    height, width = size
    y, x = torch.meshgrid(
        *((2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1 for side in size), indexing='ij'
    )
    places = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    values = (theta @ places).transpose(0, 1)  # (2, T, h*w)
    return (3 * values[0] + 2 * values[1]).view(-1, 1, height, width)


@pytest.mark.parametrize('padded', [False, True])
def test_any_warps_are_undone_on_a_linear_image(padded):
    """The image is known in the coordinates of every frame without any sampling."""
    steps = (rotate_matrix(5 * OFFSETS, SIZE), scale_matrix(1.05**OFFSETS - 1, SIZE))
    for theta in (*steps, translate_y_matrix(0.07 * OFFSETS, SIZE)):
        frames = ramp(theta, SIZE).repeat(1, C, 1, 1)
        canvas = (20, 18) if padded else SIZE
        whole = torch.full((T, C, *canvas), 1e3, dtype=torch.float64)  # no content: must not be seen inside
        whole[..., : SIZE[0], : SIZE[1]] = frames
        found = one_size(theta, SIZE, canvas).shift(whole, N, replicate=True)[..., : SIZE[0], : SIZE[1]]
        torch.testing.assert_close(found[..., 4:-4, 4:-4], frames[..., 4:-4, 4:-4], atol=1e-9, rtol=0)
        assert found.abs().max() < 20
        assert torch.equal(found[:, 2 * N :], frames[:, 2 * N :])  # what stays is not sampled


def test_frames_that_lie_alike_are_shifted_bit_for_bit():
    x = torch.rand(2 * T, C, *SIZE)
    expected = shift_channels(x, T, N)
    same = rotate_matrix(torch.zeros(T, dtype=torch.float64), SIZE)
    assert torch.equal(one_size(same).shift(x, N), expected)
    assert torch.equal(FrameAlignment(T).shift(x, N), expected)
    turned = rotate_matrix(torch.full((T,), 7.0, dtype=torch.float64), SIZE)
    assert torch.equal(one_size(turned).shift(x, N), expected)


def test_images_of_several_sizes_are_as_one_by_one():
    canvas, sizes = (16, 16), [(12, 16), (16, 16), (12, 16), (9, 8)]
    x = torch.rand(len(sizes) * T, C, *canvas)
    warps = {size: NeighbourWarps(rotate_matrix(6 * OFFSETS, size), size, canvas) for size in sizes}
    places = {size: tuple(p for p, other in enumerate(sizes) if other == size) for size in sizes}
    found = FrameAlignment(T, tuple((places[size], warps[size]) for size in warps)).shift(x, N)
    for place, size in enumerate(sizes):
        own = slice(place * T, (place + 1) * T)
        alone = FrameAlignment(T, ((None, warps[size]),)).shift(x[own], N)
        torch.testing.assert_close(found[own], alone, atol=1e-6, rtol=0)


def test_gradients():
    torch.manual_seed(0)
    size = (4, 5)
    alignment = one_size(rotate_matrix(8 * OFFSETS, size), size)
    x = torch.rand(T, 3, *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: alignment.shift(x, 1), x)
    assert torch.autograd.gradcheck(lambda x: alignment.shift(x, 1, replicate=True), x)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_sampled_in_full(dtype):
    alignment, x = one_size(rotate_matrix(6 * OFFSETS, SIZE)), torch.rand(T, C, *SIZE).to(dtype)
    found = alignment.shift(x, N)
    assert found.dtype == dtype
    torch.testing.assert_close(found, alignment.shift(x.float(), N).to(dtype), atol=0, rtol=0)


def test_memory_format_stays_and_the_input_too():
    alignment = one_size(rotate_matrix(6 * OFFSETS, SIZE))
    x = torch.rand(T, C, *SIZE).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    found = alignment.shift(x, N)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before)
    torch.testing.assert_close(found, alignment.shift(x.contiguous(), N))
    torch.testing.assert_close(copy.deepcopy(alignment).shift(x, N), found)
