"""The gated fusions against the 5-D form of their papers: BatchNorm3d and Conv3d over (B, C, T, h, w)."""

import copy
import shutil

import pytest
import torch
import torch.nn.functional as F

from mmdas.models.fusion import GateShift, GateShiftFuse, base

BUILDERS = {
    'gsm': lambda num_frames, init: GateShift(8, num_frames, init),
    'gsf': lambda num_frames, init: GateShiftFuse(10, num_frames, 0.8, init),
    'gsf-all': lambda num_frames, init: GateShiftFuse(8, num_frames, 1.0, init),
}
LAYOUTS = {
    'contiguous': lambda x: x.contiguous(),
    'channels_last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'strided': lambda x: x.repeat_interleave(2, dim=3)[..., ::2],
    'slice of channels': lambda x: torch.cat([x, x], dim=1)[:, : x.shape[1]],
}
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-4}


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def build(name, num_frames=4, init='identity', dtype=torch.float32, training=True):
    """A module with random parameters and norm statistics."""
    module = BUILDERS[name](num_frames, init).to(dtype).train(training)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    torch.nn.init.normal_(module.bn.running_mean)
    torch.nn.init.uniform_(module.bn.running_var, 0.5, 2.0)
    return module


def in_five_dimensions(module, x):
    """The module's output, written out with (B, C, T, h, w) volumes."""
    volume = x.unflatten(0, (-1, module.num_frames)).transpose(1, 2).contiguous()
    f = module.bn.num_features
    gates = torch.tanh(module.conv3D(F.relu(module.bn(volume[:, :f]))))
    halves = []
    for i, half in enumerate(volume[:, :f].chunk(2, dim=1)):
        gated = gates[:, i : i + 1] * half
        gap = torch.zeros_like(gated[:, :, :1])
        shifted = torch.cat([gated[:, :, 1:], gap] if i == 0 else [gap, gated[:, :, :-1]], dim=2)
        halves.append(joined(module, i, shifted, half - gated))
    return torch.cat([*halves, volume[:, f:]], dim=1).transpose(1, 2).flatten(0, 1)


def joined(module, i, shifted, residual):
    """One half, (B, n, T, h, w): the sum of GSM or the weighted one of GSF, interleaved in the official form."""
    if isinstance(module, GateShift):
        half = shifted + residual
    else:
        conv = (module.channel_conv1, module.channel_conv2)[i]
        weight = conv(torch.stack([shifted.mean((3, 4)), residual.mean((3, 4))], dim=1)).sigmoid()[
            :, 0, ..., None, None
        ]
        half = weight * shifted + (1 - weight) * residual
        half = 2 * half if module.init == 'identity' else half
    if module.init == 'identity':
        return half
    return torch.stack(half.chunk(2, dim=1), dim=2).flatten(1, 2)


def results(module, function, x):
    """Output, gradients of the input and of all parameters, and norm statistics after one step."""
    x = x.detach().requires_grad_()
    out = function(x)
    towards = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    grads = torch.autograd.grad(out, [x, *module.parameters()], towards)
    names = [name for name, _ in module.named_parameters()]
    return dict(zip(['out', 'x', *names], [out, *grads], strict=True)) | dict(module.named_buffers())


def assert_equals_five_dimensions(module, x, tolerance):
    twin = copy.deepcopy(module)
    expected = results(twin, lambda x: in_five_dimensions(twin, x), x)
    actual = results(module, module, x)
    for name, tensor in expected.items():
        scale = max(1.0, tensor.abs().max().item())
        torch.testing.assert_close(
            actual[name], tensor, rtol=0, atol=tolerance * scale, msg=lambda text, name=name: f'{name}: {text}'
        )


@pytest.mark.parametrize('name', BUILDERS)
@pytest.mark.parametrize('init', ['identity', 'official'])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('num_frames', [1, 2, 3, 8])
@pytest.mark.parametrize('size', [(5, 3), (4, 6)])
def test_output_gradients_and_statistics_equal_the_five_dimensional_form(name, init, training, num_frames, size):
    module = build(name, num_frames, init, torch.float64, training)
    x = torch.randn(2 * num_frames, module.channels, *size, dtype=torch.float64)
    assert_equals_five_dimensions(module, x, TOLERANCE[x.dtype])


@pytest.mark.parametrize('name', BUILDERS)
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_every_layout_equals_the_five_dimensional_form_and_keeps_the_input(name, layout, dtype):
    module = build(name, dtype=dtype)
    x = LAYOUTS[layout](torch.randn(8, module.channels, 5, 7, dtype=dtype))
    before = x.clone()
    assert_equals_five_dimensions(module, x, TOLERANCE[dtype])
    assert torch.equal(x, before)


@pytest.mark.parametrize('name', BUILDERS)
@pytest.mark.parametrize('momentum', [0.3, None])
def test_statistics_follow_the_momentum_of_the_five_dimensional_form(name, momentum):
    module = build(name)
    module.bn.momentum = momentum
    twin = copy.deepcopy(module)
    for _ in range(3):
        x = torch.randn(8, module.channels, 3, 3)
        module(x)
        in_five_dimensions(twin, x)
    assert module.bn.num_batches_tracked == 3
    for actual, expected in zip(module.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize('name', BUILDERS)
def test_a_frozen_norm_keeps_its_statistics(name):
    module = build(name)
    module.bn.eval()  # as by users who freeze it
    before = {key: tensor.clone() for key, tensor in module.bn.state_dict().items()}
    x = torch.randn(8, module.channels, 3, 3)
    torch.testing.assert_close(module(x), in_five_dimensions(module, x))
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.bn.state_dict().items())


@pytest.mark.parametrize('name', BUILDERS)
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_autocast_stays_near_the_five_dimensional_form_in_full_precision(name, training, dtype):
    module = build(name, training=training)
    x = torch.randn(8, module.channels, 6, 6).to(dtype)
    expected = in_five_dimensions(copy.deepcopy(module), x.float())
    with torch.autocast('cpu', torch.bfloat16):
        out = module(x)
    out.square().mean().backward()
    assert out.dtype == dtype
    assert (out - expected).abs().mean() < 0.02
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize('name', BUILDERS)
@pytest.mark.slow
def test_second_gradient_is_right(name):
    module = build(name, num_frames=2, dtype=torch.float64)
    x = torch.randn(4, module.channels, 1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(module, x)


@pytest.mark.skipif(shutil.which('g++') is None, reason='torch.compile needs a C++ compiler, g++ is not here')
@pytest.mark.slow
def test_the_compiled_module_equals_the_eager_one():
    module = build('gsf', num_frames=2)
    twin = copy.deepcopy(module)
    x = torch.randn(4, module.channels, 3, 3)
    expected, actual = results(twin, twin, x), results(module, torch.compile(module, fullgraph=True), x)
    for key, tensor in expected.items():
        torch.testing.assert_close(actual[key], tensor, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', BUILDERS)
@pytest.mark.parametrize('size', [(5, 3), (4, 6), (1, 1)])
def test_products_in_place_of_the_convolution_equal_the_five_dimensional_form(name, size, monkeypatch):
    monkeypatch.setattr('mmdas.models.fusion.base._WIDE', 0)
    module, taken = build(name, 3, dtype=torch.float64), []
    monkeypatch.setattr(
        module, '_taps_by_products', lambda x: taken.append(x) or type(module)._taps_by_products(module, x)
    )
    assert_equals_five_dimensions(module, torch.randn(6, module.channels, *size, dtype=torch.float64), 1e-11)
    assert taken


@pytest.mark.parametrize('takes', [True, False])
def test_products_are_for_many_channels_in_full_precision_and_the_usual_layout(takes):
    x = torch.randn(2, 32, 3, 3)
    half = torch.autocast('cpu', torch.bfloat16, enabled=not takes)
    with half:
        assert base._takes_products(x) == takes
    others = (x[:, :28].contiguous(), x.bfloat16(), x.contiguous(memory_format=torch.channels_last))
    assert not any(map(base._takes_products, others))
