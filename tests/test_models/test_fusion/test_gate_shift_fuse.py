import math

import numpy as np
import pytest
import torch

from mmdas.models.fusion import GateShiftFuse


def randomize(module):
    """Evaluation mode, random parameters and norm statistics."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5, generator=generator)
    torch.nn.init.normal_(module.bn.running_mean, generator=generator)
    torch.nn.init.uniform_(module.bn.running_var, 0.5, 2.0, generator=generator)
    return module.eval()


def gates_by_loops(state, eps, clip):
    """Gates of one image (T, f, h, w): two of (T, h, w), a sum over channels and the 27 taps of shifted volumes."""
    num_frames, channels, height, width = clip.shape
    padded = np.zeros((num_frames + 2, channels, height + 2, width + 2))
    for c in range(channels):
        normed = (clip[:, c] - state['bn.running_mean'][c]) / math.sqrt(state['bn.running_var'][c] + eps)
        padded[1:-1, c, 1:-1, 1:-1] = np.maximum(normed * state['bn.weight'][c] + state['bn.bias'][c], 0)
    gates = []
    for group in range(2):
        logits = np.full((num_frames, height, width), state['conv3D.bias'][group])
        for k, dt, dy, dx in np.ndindex(channels // 2, 3, 3, 3):
            tap = padded[dt : dt + num_frames, group * channels // 2 + k, dy : dy + height, dx : dx + width]
            logits = logits + state['conv3D.weight'][group, k, dt, dy, dx] * tap
        gates.append(np.tanh(logits))
    return gates


def fusion_weights_by_loops(weight, bias, shifted, residual):
    """Weights a (T, n) of one half of one image; the parts are (T, n, h, w), the plane is (channel, time)."""
    num_frames, n = shifted.shape[:2]
    weights = np.zeros((num_frames, n))
    for t in range(num_frames):
        for c in range(n):
            logit = bias[0]
            for part, dc, dt in np.ndindex(2, 3, 3):
                channel, frame = c + dc - 1, t + dt - 1
                if 0 <= channel < n and 0 <= frame < num_frames:
                    logit += weight[0, part, dc, dt] * (shifted, residual)[part][frame, channel].mean()
            weights[t, c] = 1 / (1 + math.exp(-logit))
    return weights


def fused_image_by_loops(module, clip, f):
    """GSF of one image (T, C, h, w), one frame and channel at a time."""
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    num_frames, n = clip.shape[0], f // 2
    out = clip.copy()
    for group, gate in enumerate(gates_by_loops(state, module.bn.eps, clip[:, :f])):
        gated = gate[:, None] * clip[:, group * n : (group + 1) * n]
        residual = clip[:, group * n : (group + 1) * n] - gated
        shifted = np.zeros_like(gated)
        for t in range(num_frames):
            source = t + 1 if group == 0 else t - 1
            if 0 <= source < num_frames:
                shifted[t] = gated[source]
        names = (f'channel_conv{group + 1}.weight', f'channel_conv{group + 1}.bias')
        weights = fusion_weights_by_loops(*(state[name] for name in names), shifted, residual)
        for t in range(num_frames):
            for c in range(n):
                value = weights[t, c] * shifted[t, c] + (1 - weights[t, c]) * residual[t, c]
                if module.init == 'identity':
                    out[t, group * n + c] = 2 * value
                else:
                    quarter, k = divmod(c, n // 2)
                    out[t, group * n + 2 * k + quarter] = value
    return out


@pytest.mark.parametrize('init', ['identity', 'official'])
@pytest.mark.parametrize(
    ('num_frames', 'channels', 'ratio', 'f', 'size'),
    [(1, 8, 1.0, 8, (2, 2)), (3, 16, 0.5, 8, (2, 3)), (4, 18, 0.7, 12, (1, 1)), (5, 6, 0.25, 4, (3, 2))],
)
def test_gate_shift_fuse_equals_a_loop_over_frames_and_channels(init, num_frames, channels, ratio, f, size):
    module = randomize(GateShiftFuse(channels, num_frames, ratio, init).double())
    x = torch.randn(2 * num_frames, channels, *size, dtype=torch.float64)
    expected = np.concatenate([fused_image_by_loops(module, clip.numpy(), f) for clip in x.split(num_frames)])
    assert torch.allclose(module(x), torch.from_numpy(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(('num_frames', 'ratio'), [(1, 0.25), (4, 0.25), (8, 1.0)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_gate_shift_fuse_starts_as_the_identity(training, num_frames, ratio, dtype):
    x = torch.randn(2 * num_frames, 16, 3, 3, dtype=dtype)
    assert torch.equal(GateShiftFuse(16, num_frames, ratio).to(dtype).train(training)(x), x)


def test_official_gate_shift_fuse_starts_by_halving_and_permuting_the_fused_channels():
    x = torch.randn(8, 32, 3, 3)
    out = GateShiftFuse(32, 4, ratio=0.5, init='official')(x)
    order = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]
    assert torch.equal(out[:, :16], x[:, order] / 2)
    assert torch.equal(out[:, 16:], x[:, 16:])


@pytest.mark.parametrize('f', [4, 8, 16, 64, 100])
def test_gate_shift_fuse_has_29_f_plus_40_parameters(f):
    assert sum(parameter.numel() for parameter in GateShiftFuse(4 * f, 8).parameters()) == 29 * f + 40


@pytest.mark.parametrize(
    ('channels', 'ratio', 'f'),
    [(64, 0.25, 16), (4, 0.01, 4), (6, 1.0, 4), (7, 1.0, 4), (24, 0.25, 8), (40, 0.25, 12), (20, 0.25, 4), (18, 1, 16)],
)
def test_fused_channels_are_the_nearest_multiple_of_4_that_fits(channels, ratio, f):
    module = GateShiftFuse(channels, 4, ratio)
    assert module.fused_channels == module.bn.num_features == f


def test_gate_shift_fuse_has_the_published_tensors():
    shapes = {name: tuple(parameter.shape) for name, parameter in GateShiftFuse(32, 4).named_parameters()}
    assert shapes == {
        'bn.weight': (8,),
        'bn.bias': (8,),
        'conv3D.weight': (2, 4, 3, 3, 3),
        'conv3D.bias': (2,),
        'channel_conv1.weight': (1, 2, 3, 3),
        'channel_conv1.bias': (1,),
        'channel_conv2.weight': (1, 2, 3, 3),
        'channel_conv2.bias': (1,),
    }


def test_gradient_reaches_the_fusion_weights_at_the_start():
    module = GateShiftFuse(16, 4, ratio=1.0)
    module(torch.randn(8, 16, 3, 3)).square().sum().backward()
    assert module.channel_conv1.weight.grad.abs().max() > 0
    assert module.channel_conv2.weight.grad.abs().max() > 0


@pytest.mark.parametrize('channels', [1, 3])
def test_gate_shift_fuse_refuses_fewer_than_4_channels(channels):
    with pytest.raises(ValueError, match=f'channels of GateShiftFuse must be at least 4, got {channels}'):
        GateShiftFuse(channels, 4)


@pytest.mark.parametrize('ratio', [0, -0.5, 1.1, float('nan')])
def test_gate_shift_fuse_refuses_a_ratio_outside_its_range(ratio):
    with pytest.raises(ValueError, match=rf'ratio of GateShiftFuse must be in \(0, 1\], got {ratio}'):
        GateShiftFuse(16, 4, ratio)
