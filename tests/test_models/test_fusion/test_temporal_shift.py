import copy

import numpy as np
import pytest
import torch

from mmdas.models.fusion import GateShift, GateShiftFuse, TemporalShift
from mmdas.ops.temporal import shift_frames
from mmdas.registry import MODELS

FUSIONS = [TemporalShift, GateShift, GateShiftFuse]


def shifted_by_loops(x, num_frames, n):
    """TSM one frame and one channel at a time: (B*T, C, h, w) -> (B*T, C, h, w)."""
    x = x.numpy()
    out = np.zeros_like(x)
    for index in range(x.shape[0]):
        t = index % num_frames
        for c in range(x.shape[1]):
            if c < n:
                source = index + 1 if t + 1 < num_frames else None
            elif c < 2 * n:
                source = index - 1 if t > 0 else None
            else:
                source = index
            if source is not None:
                out[index, c] = x[source, c]
    return torch.from_numpy(out)


@pytest.mark.parametrize('num_frames', [1, 2, 3, 8])
@pytest.mark.parametrize('offset', [-9, -2, -1, 0, 1, 2, 9])
def test_shifted_frame_t_is_frame_t_plus_offset_or_zero(num_frames, offset):
    frames = torch.randn(2, num_frames, 3, 2, 2)
    shifted = shift_frames(frames, offset)
    assert shifted.shape == frames.shape
    for t in range(num_frames):
        inside = 0 <= t + offset < num_frames
        expected = frames[:, t + offset] if inside else torch.zeros(2, 3, 2, 2)
        assert torch.equal(shifted[:, t], expected)


@pytest.mark.parametrize('offset', [1, 2])
def test_shift_forth_and_back_restores_the_middle_frames(offset):
    frames = torch.randn(2, 7, 3)
    there_and_back = shift_frames(shift_frames(frames, -offset), offset)
    back_and_there = shift_frames(shift_frames(frames, offset), -offset)
    assert torch.equal(there_and_back[:, :-offset], frames[:, :-offset])
    assert torch.equal(back_and_there[:, offset:], frames[:, offset:])


def test_shift_keeps_its_input_and_integer_types():
    frames = torch.arange(12).view(2, 3, 2)
    before = frames.clone()
    assert shift_frames(frames, 1).dtype == torch.int64
    assert torch.equal(frames, before)


@pytest.mark.parametrize('offset', [-1, 0, 2, 5])
def test_shift_has_the_right_gradient(offset):
    frames = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: shift_frames(x, offset), frames)


@pytest.mark.parametrize('num_frames', [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize(('channels', 'fraction', 'n'), [(16, 0.125, 2), (7, 0.25, 1), (5, 0.5, 2), (4, 0.5, 2)])
def test_temporal_shift_equals_a_loop_over_frames_and_channels(num_frames, channels, fraction, n):
    x = torch.randn(2 * num_frames, channels, 3, 2)
    assert torch.equal(TemporalShift(channels, num_frames, fraction)(x), shifted_by_loops(x, num_frames, n))


@pytest.mark.parametrize(('channels', 'fraction'), [(16, 0.0), (7, 0.125)])
def test_no_whole_channel_to_shift_leaves_features_unchanged(channels, fraction):
    x = torch.randn(8, channels, 2, 2)
    assert torch.equal(TemporalShift(channels, 4, fraction)(x), x)


def test_temporal_shift_has_no_state():
    assert not TemporalShift(16, 4).state_dict()


def test_temporal_shift_has_the_right_gradient():
    x = torch.randn(6, 4, 1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(TemporalShift(4, 3, 0.25), x)


@pytest.mark.parametrize('fraction', [-0.1, 0.51, float('nan')])
def test_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(ValueError, match=rf'fraction of TemporalShift must be in \[0, 0.5\], got {fraction}'):
        TemporalShift(16, 4, fraction)


def test_fusions_stand_where_their_papers_put_them():
    placements = [fusion.placement for fusion in FUSIONS]
    assert placements == ['before_first_conv', 'after_last_conv', 'after_last_conv']


@pytest.mark.parametrize('fusion', FUSIONS)
class TestEveryFusion:
    def test_is_built_from_a_config(self, fusion):
        module = MODELS.build({'type': f'mmdas.{fusion.__name__}', 'channels': 16, 'num_frames': 4})
        assert type(module) is fusion

    @pytest.mark.parametrize('size', [(1, 1), (3, 2)])
    @pytest.mark.parametrize('num_frames', [1, 2, 3])
    @pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
    def test_keeps_shape_and_type(self, fusion, size, num_frames, dtype):
        x = torch.randn(2 * num_frames, 8, *size, dtype=dtype)
        out = fusion(8, num_frames).to(dtype)(x)
        assert out.shape == x.shape
        assert out.dtype == dtype

    def test_does_not_change_its_input(self, fusion):
        x = torch.randn(8, 16, 2, 2)
        before = x.clone()
        fusion(16, 4)(x)
        assert torch.equal(x, before)

    def test_reads_channels_last_as_any_other_layout(self, fusion):
        module = with_random_parameters(fusion(16, 4))
        x = torch.randn(8, 16, 3, 5)
        out = module(x.to(memory_format=torch.channels_last))
        assert torch.allclose(out, module(x), atol=1e-6)

    def test_survives_an_export(self, fusion):
        module = with_random_parameters(fusion(16, 4))
        x = torch.randn(8, 16, 3, 3)
        exported = torch.export.export(module, (x,)).module()
        assert torch.allclose(exported(x), module(x), atol=1e-6)

    def test_deep_copy_computes_the_same_and_shares_nothing(self, fusion):
        module = with_random_parameters(fusion(16, 4))
        x = torch.randn(8, 16, 3, 3)
        expected = module(x)
        twin = copy.deepcopy(module)
        for parameter in module.parameters():
            torch.nn.init.zeros_(parameter)
        assert torch.equal(twin(x), expected)

    def test_says_its_arguments(self, fusion):
        assert 'channels=16, num_frames=4' in repr(fusion(16, 4))

    @pytest.mark.parametrize(('channels', 'num_frames', 'named'), [(0, 4, 'channels'), (16, 0, 'num_frames')])
    def test_refuses_counts_below_one(self, fusion, channels, num_frames, named):
        with pytest.raises(ValueError, match=rf'{named} of {fusion.__name__} must be at least \d, got 0'):
            fusion(channels, num_frames)

    @pytest.mark.parametrize('shape', [(8, 12, 2, 2), (8, 16, 4)])
    def test_refuses_features_of_another_shape(self, fusion, shape):
        with pytest.raises(
            ValueError, match=rf'{fusion.__name__} has channels=16 .* got shape \({shape[0]}, {shape[1]}'
        ):
            fusion(16, 4)(torch.zeros(shape))

    def test_refuses_a_batch_that_does_not_divide_into_clips(self, fusion):
        with pytest.raises(ValueError, match=r'6 frames do not divide .* num_frames=4; set num_frames'):
            fusion(16, 4)(torch.zeros(6, 16, 2, 2))


def with_random_parameters(module):
    """The module in evaluation mode with random weights and norm statistics."""
    generator = torch.Generator().manual_seed(0)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.2, 1.0, generator=generator)
    return module.eval()
