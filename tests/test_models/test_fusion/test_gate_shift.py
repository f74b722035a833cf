import math

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from mmdas.models.fusion import GateShift, GateShiftFuse

GATED = [GateShift, GateShiftFuse]
INITS = ['identity', 'official']


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def randomize(module, seed=0):
    """Fill parameters and norm statistics with random numbers."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3, generator=generator)
    torch.nn.init.normal_(module.bn.running_mean, generator=generator)
    torch.nn.init.uniform_(module.bn.running_var, 0.5, 2.0, generator=generator)
    return module


def gates_by_loops(module, clip):
    """Gates (2, T, h, w) of one image (T, C, h, w) in evaluation mode, tap by tap."""
    num_frames, channels, height, width = clip.shape
    bn = {name: tensor.numpy() for name, tensor in module.bn.state_dict().items()}
    weight, bias = module.conv3D.weight.detach().numpy(), module.conv3D.bias.detach().numpy()
    gates = np.zeros((2, num_frames, height, width))
    for group, t, row, column in np.ndindex(gates.shape):
        total = bias[group]
        for k, dt, dy, dx in np.ndindex(channels // 2, 3, 3, 3):
            s, y, x, c = t + dt - 1, row + dy - 1, column + dx - 1, group * channels // 2 + k
            if 0 <= s < num_frames and 0 <= y < height and 0 <= x < width:
                normed = (clip[s, c, y, x] - bn['running_mean'][c]) / math.sqrt(bn['running_var'][c] + module.bn.eps)
                total += weight[group, k, dt, dy, dx] * max(normed * bn['weight'][c] + bn['bias'][c], 0)
        gates[group, t, row, column] = math.tanh(total)
    return gates


def gate_shift_by_loops(module, x):
    """GSM one image, frame and channel at a time."""
    num_frames, channels = module.num_frames, module.channels
    half = channels // 2
    out = np.zeros(x.shape)
    for start in range(0, x.shape[0], num_frames):
        clip = x[start : start + num_frames].numpy()
        gates = gates_by_loops(module, clip)
        for t in range(num_frames):
            for c in range(channels):
                group, k = divmod(c, half)
                source = t + 1 if group == 0 else t - 1
                value = clip[t, c] * (1 - gates[group, t])
                if 0 <= source < num_frames:
                    value = value + clip[source, c] * gates[group, source]
                out[start + t, group * half + (place(k, half) if module.init == 'official' else k)] = value
    return torch.from_numpy(out)


def place(k, n):
    """Where the interleave (2, n/2) -> (n/2, 2) puts channel k of a half of n channels."""
    return 2 * k if k < n // 2 else 2 * (k - n // 2) + 1


@pytest.mark.parametrize('init', INITS)
@pytest.mark.parametrize(('num_frames', 'channels', 'size'), [(1, 4, (2, 2)), (3, 8, (2, 3)), (4, 12, (1, 1))])
def test_gate_shift_equals_a_loop_over_frames_and_channels(init, num_frames, channels, size):
    module = randomize(GateShift(channels, num_frames, init).double()).eval()
    x = torch.randn(2 * num_frames, channels, *size, dtype=torch.float64)
    assert torch.allclose(module(x), gate_shift_by_loops(module, x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('num_frames', [1, 3, 8])
def test_gate_shift_starts_as_the_identity(training, num_frames):
    x = torch.randn(2 * num_frames, 16, 3, 3)
    assert torch.equal(GateShift(16, num_frames).train(training)(x), x)


def test_official_gate_shift_starts_as_a_permutation_of_the_channels():
    x = torch.randn(8, 16, 3, 3)
    order = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]
    assert torch.equal(GateShift(16, 4, init='official')(x), x[:, order])


def test_open_gates_shift_every_channel():
    module = GateShift(4, 3)
    torch.nn.init.constant_(module.conv3D.bias, 100.0)  # tanh(100) = 1
    x = torch.randn(3, 4, 2, 2)
    out = module(x)
    assert torch.equal(out[:, :2], torch.cat([x[1:, :2], torch.zeros(1, 2, 2, 2)]))
    assert torch.equal(out[:, 2:], torch.cat([torch.zeros(1, 2, 2, 2), x[:-1, 2:]]))


def test_gate_shift_has_the_published_tensors():
    shapes = {name: tuple(parameter.shape) for name, parameter in GateShift(16, 4).named_parameters()}
    assert shapes == {'bn.weight': (16,), 'bn.bias': (16,), 'conv3D.weight': (2, 8, 3, 3, 3), 'conv3D.bias': (2,)}


@pytest.mark.parametrize('channels', [6, 1, 63])
def test_gate_shift_refuses_channels_that_do_not_divide_by_4(channels):
    with pytest.raises(
        ValueError, match=f'channels of GateShift must be a multiple of 4, got {channels}; .*GateShiftFuse'
    ):
        GateShift(channels, 4)


@pytest.mark.parametrize('fusion', GATED)
@pytest.mark.parametrize('init', INITS)
class TestEveryGatedFusion:
    def test_images_of_a_batch_do_not_leak_into_each_other(self, fusion, init):
        module = randomize(fusion(16, 4, init=init)).eval()
        x = torch.randn(12, 16, 3, 3)
        changed = x.clone()
        changed[:4] = torch.randn(4, 16, 3, 3)
        out, out_of_changed = module(x), module(changed)
        assert not torch.equal(out[:4], out_of_changed[:4])
        assert torch.equal(out[4:], out_of_changed[4:])

    @pytest.mark.parametrize('training', [True, False])
    @pytest.mark.slow
    def test_has_the_right_gradient(self, fusion, init, training):
        module = randomize(fusion(4, 2, init=init).double()).train(training)
        x = torch.randn(4, 4, 1, 2, dtype=torch.float64, requires_grad=True)
        names = [name for name, _ in module.named_parameters()]

        def run(x, *parameters):
            return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), x)

        assert torch.autograd.gradcheck(run, (x, *module.parameters()))

    def test_gradient_reaches_gates_at_the_start(self, fusion, init):
        module = fusion(16, 4, init=init)
        module(torch.randn(8, 16, 3, 3)).square().sum().backward()
        assert all(parameter.grad is not None for parameter in module.parameters())
        assert module.conv3D.weight.grad.abs().max() > 0

    def test_init_weights_restores_the_start_state(self, fusion, init):
        module = fusion(16, 4, init=init)
        start = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        module(torch.randn(8, 16, 3, 3))  # moves the norm statistics
        randomize(module).init_weights()
        assert all(torch.equal(tensor, start[name]) for name, tensor in module.state_dict().items())

    def test_start_state_does_not_draw_on_the_seed(self, fusion, init):
        first, second = fusion(16, 4, init=init).state_dict(), fusion(16, 4, init=init).state_dict()
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_state_dict_round_trip_keeps_the_output(self, fusion, init):
        module = randomize(fusion(16, 4, init=init)).eval()
        twin = fusion(16, 4, init=init).eval()
        twin.load_state_dict(module.state_dict())
        x = torch.randn(8, 16, 3, 3)
        assert torch.equal(twin(x), module(x))

    def test_autocast_stays_near_full_precision(self, fusion, init):
        module = randomize(fusion(16, 4, init=init)).eval()
        x = torch.randn(8, 16, 3, 3)
        with torch.autocast('cpu', torch.bfloat16):
            out, out_of_half = module(x), module(x.bfloat16())
        assert (out.dtype, out_of_half.dtype) == (torch.float32, torch.bfloat16)
        assert torch.allclose(out, module(x), atol=0.1)
        assert torch.allclose(out_of_half.float(), module(x), atol=0.1)

    def test_gradient_checkpointing_gives_the_same_gradients(self, fusion, init):
        x = torch.randn(8, 16, 3, 3)
        plain, checkpointed = (randomize(fusion(16, 4, init=init)) for _ in range(2))
        plain(x).square().sum().backward()
        checkpoint(checkpointed, x, use_reentrant=False).square().sum().backward()
        for expected, actual in zip(plain.parameters(), checkpointed.parameters(), strict=True):
            assert torch.allclose(actual.grad, expected.grad)

    def test_becomes_synchronised_batch_norm(self, fusion, init):
        module = torch.nn.SyncBatchNorm.convert_sync_batchnorm(randomize(fusion(16, 4, init=init)))
        module.init_weights()
        assert isinstance(module.bn, torch.nn.SyncBatchNorm)
        assert torch.equal(module.bn.running_mean, torch.zeros_like(module.bn.running_mean))

    def test_refuses_another_init(self, fusion, init):
        with pytest.raises(ValueError, match=f"init of {fusion.__name__} must be one of .* got '{init}s'"):
            fusion(16, 4, init=f'{init}s')
