from functools import partial

import pytest
import torch

from mmdas.ops.temporal import _concatenate, shift_channels, sum_over_time

FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def shifted_by_loops(x, num_frames, n):
    """One frame and one channel at a time."""
    out = torch.zeros_like(x)
    for index in range(x.shape[0]):
        t = index % num_frames
        for c in range(x.shape[1]):
            step = 1 if c < n else -1 if c < 2 * n else 0
            if 0 <= t + step < num_frames:
                out[index, c] = x[index + step, c]
    return out


def traced_shift(x, num_frames, n):
    """The form that tracers see."""
    return torch.jit.trace(lambda x: shift_channels(x, num_frames, n), x)(x)


@pytest.mark.parametrize('num_frames', [1, 2, 3, 8])
@pytest.mark.parametrize(('channels', 'n'), [(16, 2), (5, 2), (4, 2), (3, 1), (3, 0)])
@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize('shift', [shift_channels, traced_shift])
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_shift_equals_a_loop_over_frames_and_channels(shift, memory_format, channels, n, num_frames):
    x = torch.randn(2 * num_frames, channels, 3, 5).to(memory_format=memory_format)
    assert torch.equal(shift(x, num_frames, n), shifted_by_loops(x, num_frames, n))


@pytest.mark.parametrize('shape', [(6, 4), (6, 4, 3), (6, 4, 1, 2, 3), (0, 4, 2, 2)])
def test_shift_takes_any_trailing_dimensions(shape):
    x = torch.randn(shape)
    assert torch.equal(shift_channels(x, 3, 1), shifted_by_loops(x, 3, 1))


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_shift_keeps_the_type(dtype):
    x = torch.randint(0, 2, (6, 4, 2, 2)).to(dtype)
    out = shift_channels(x, 3, 1)
    assert out.dtype == dtype
    assert torch.equal(out, shifted_by_loops(x, 3, 1))


@pytest.mark.parametrize(
    'view',
    [
        lambda x: x[:, 1:7],
        lambda x: x[..., ::2],
        lambda x: x.transpose(2, 3),
        lambda x: x[:, :1].expand(-1, 6, -1, -1),
        lambda x: x.to(memory_format=torch.channels_last)[:, :6],
    ],
)
def test_shift_reads_any_strides_and_keeps_its_input(view):
    x = view(torch.randn(8, 8, 6, 6))
    before = x.clone()
    assert torch.equal(shift_channels(x, 4, 2), shifted_by_loops(before, 4, 2))
    assert torch.equal(x, before)


@pytest.mark.parametrize('memory_format', FORMATS)
def test_output_and_gradient_keep_the_memory_format(memory_format):
    x = torch.randn(8, 4, 3, 5).to(memory_format=memory_format).requires_grad_()
    out = shift_channels(x, 4, 1)
    (grad,) = torch.autograd.grad(out, x, torch.randn_like(out))
    assert out.is_contiguous(memory_format=memory_format)
    assert grad.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize('num_frames', [1, 2, 3])
@pytest.mark.parametrize('memory_format', FORMATS)
def test_shift_has_the_right_first_and_second_gradient(memory_format, num_frames):
    x = torch.randn(2 * num_frames, 5, 1, 2, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: shift_channels(x, num_frames, 2), x)
    assert torch.autograd.gradgradcheck(lambda x: shift_channels(x, num_frames, 2).sin(), x)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('num_frames', [1, 2, 8])
def test_gradient_equals_that_of_the_loop(num_frames, dtype):
    x = torch.randn(2 * num_frames, 5, 3, 2, dtype=dtype, requires_grad=True)
    towards = torch.randn_like(x)
    (grad,) = torch.autograd.grad(shift_channels(x, num_frames, 2), x, towards)
    (expected,) = torch.autograd.grad(shifted_by_loops(x, num_frames, 2), x, towards)
    assert torch.equal(grad, expected)


def test_gradient_is_right_after_a_function_that_saves_its_output():
    x = torch.randn(6, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: shift_channels(x.sigmoid(), 3, 1).square(), x)


@pytest.mark.parametrize('num_frames', [1, 3])
def test_transforms_of_functions_equal_those_of_the_loop(num_frames):
    x, tangent = torch.randn(2, 6, 4, 2, dtype=torch.float64)[..., None], torch.randn(2, 6, 4, 2, 1).double()

    def results(shift):
        def loss(x):
            return shift(x, num_frames, 1).pow(3).sum()

        return [
            torch.func.jvp(lambda x: shift(x, num_frames, 1), (x[0],), (tangent[0],))[1],
            torch.func.vmap(lambda x: shift(x, num_frames, 1))(x),
            torch.func.vmap(lambda x: shift(x, num_frames, 1), in_dims=2, out_dims=1)(tangent.movedim(0, 2)),
            torch.func.vmap(torch.func.grad(loss))(x),
            torch.func.hessian(loss)(x[0]),
        ]

    torch.testing.assert_close(results(shift_channels), results(partial(_concatenate, replicate=False)))


def test_nothing_is_saved_for_the_backward_pass():
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        out = shift_channels(torch.randn(6, 4, 2, 2, requires_grad=True), 3, 1)
    assert out.requires_grad
    assert not saved


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_autocast_leaves_the_shift_as_it_is(dtype):
    x = torch.randn(6, 4, 2, 2, dtype=dtype)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(shift_channels(x, 3, 1), shifted_by_loops(x, 3, 1))


@pytest.mark.parametrize('n', [-1, 3])
def test_more_channels_than_there_are_cannot_move(n):
    with pytest.raises(ValueError, match=f'n must be from 0 to half of the 5 channels, got {n}'):
        shift_channels(torch.zeros(4, 5, 2, 2), 2, n)


@pytest.mark.parametrize('frames', [1, 2, 5])
def test_parts_of_three_frames_are_summed_up(frames):
    given = torch.rand(2 * frames, 6, 3, 4, dtype=torch.float64, requires_grad=True)
    moved = shift_channels(given, frames, 2)
    found = sum_over_time(given, frames)
    torch.testing.assert_close(found, moved[:, :2] + moved[:, 2:4] + given[:, 4:], atol=0, rtol=0)
    assert torch.autograd.gradcheck(partial(sum_over_time, num_frames=frames), given)


@pytest.mark.parametrize('n', [0, 1, 2])
def test_without_gradients_the_shift_is_the_same(n):
    x = torch.rand(6, 4, 2, 3)
    with torch.no_grad():
        assert torch.equal(shift_channels(x, 3, n), shift_channels(x.clone().requires_grad_(), 3, n))
        ahead = torch.func.vmap(lambda clip: shift_channels(clip, 3, n))(torch.stack([x, x + 1]))
    assert torch.equal(ahead[1], shift_channels(x + 1, 3, n))
