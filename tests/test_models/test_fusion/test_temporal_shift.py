import copy
import pickle

import pytest
import torch

from mmdas.models.fusion import GateShift, GateShiftFuse, TemporalShift
from mmdas.ops.temporal import shift_channels
from mmdas.registry import MODELS

FUSIONS = [TemporalShift, GateShift, GateShiftFuse]


@pytest.mark.parametrize(('channels', 'fraction', 'n'), [(16, 0.125, 2), (7, 0.25, 1), (5, 0.5, 2), (4, 0.5, 2)])
def test_temporal_shift_shifts_a_fraction_of_the_channels(channels, fraction, n):
    x = torch.randn(6, channels, 3, 2)
    assert torch.equal(TemporalShift(channels, 3, fraction)(x), shift_channels(x, 3, n))


@pytest.mark.parametrize(('channels', 'fraction'), [(16, 0.0), (7, 0.125)])
def test_no_whole_channel_to_shift_leaves_features_unchanged(channels, fraction):
    x = torch.randn(8, channels, 2, 2)
    assert torch.equal(TemporalShift(channels, 4, fraction)(x), x)


def test_temporal_shift_has_no_state():
    assert not TemporalShift(16, 4).state_dict()


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

    @pytest.mark.parametrize('size', [(3, 5), (4, 4)])
    @pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
    def test_keeps_the_memory_format(self, fusion, memory_format, size):
        x = torch.randn(8, 16, *size).to(memory_format=memory_format).requires_grad_()
        out = fusion(16, 4)(x)
        (grad,) = torch.autograd.grad(out, x, torch.randn_like(out))
        assert out.is_contiguous(memory_format=memory_format)
        assert grad.is_contiguous(memory_format=memory_format)

    def test_reads_channels_last_as_any_other_layout(self, fusion):
        module = with_random_parameters(fusion(16, 4))
        x = torch.randn(8, 16, 3, 5)
        out = module(x.to(memory_format=torch.channels_last))
        assert torch.allclose(out, module(x), atol=1e-6)

    @pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
    def test_survives_a_trace(self, fusion):
        module = with_random_parameters(fusion(16, 4))
        traced = torch.jit.trace(module, torch.randn(8, 16, 3, 3))
        x = torch.randn(8, 16, 3, 3)
        assert torch.allclose(traced(x), module(x), atol=1e-6)

    def test_survives_an_export(self, fusion):
        module = with_random_parameters(fusion(16, 4))
        x = torch.randn(8, 16, 3, 3)
        exported = torch.export.export(module, (x,), strict=False).module()
        assert torch.allclose(exported(x), module(x), atol=1e-6)

    def test_deep_copy_computes_the_same_and_shares_nothing(self, fusion):
        module = with_random_parameters(fusion(16, 4))
        x = torch.randn(8, 16, 3, 3)
        expected = module(x)
        twin = copy.deepcopy(module)
        for parameter in module.parameters():
            torch.nn.init.zeros_(parameter)
        assert torch.equal(twin(x), expected)

    def test_a_pickled_module_computes_the_same(self, fusion):
        module = with_random_parameters(fusion(16, 4))
        x = torch.randn(8, 16, 3, 3)
        assert torch.equal(pickle.loads(pickle.dumps(module))(x), module(x))

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
