import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdas.models import FrameFusionBackbone, WideResNet
from mmdas.models.backbones.placement import find_sites
from mmdas.registry import MODELS


def weights_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ('depth', 'widen_factor', 'millions'),
    [(40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (28, 10, 36.5), (22, 8, 17.2), (16, 8, 11.0), (16, 10, 17.1)],
)
def test_number_of_weights_is_that_of_the_paper(depth: int, widen_factor: int, millions: float):
    with torch.device('meta'):
        network = WideResNet(depth, widen_factor)
    classifier = 64 * widen_factor * 10 + 10
    assert round((weights_of(network) + classifier) / 1e6, 1) == millions


def by_definition(state: dict[str, Tensor], x: Tensor, blocks: int) -> list[Tensor]:
    """The forward in evaluation from the names of the weights alone."""

    def norm(name: str, x: Tensor) -> Tensor:
        mean, var, scale, shift = (
            state[f'{name}.{part}'][:, None, None] for part in ('running_mean', 'running_var', 'weight', 'bias')
        )
        return ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)

    x = F.conv2d(x, state['conv1.weight'], padding=1)
    outputs = []
    for stage in (1, 2, 3):
        for block in range(blocks):
            name = f'layer{stage}.{block}'
            stride = 2 if stage > 1 and block == 0 else 1
            active = norm(f'{name}.norm1', x)
            inner = norm(f'{name}.norm2', F.conv2d(active, state[f'{name}.conv1.weight'], stride=stride, padding=1))
            residual = F.conv2d(inner, state[f'{name}.conv2.weight'], padding=1)
            if block == 0:
                x = F.conv2d(active, state[f'{name}.downsample.weight'], stride=stride)
            x = x + residual
        outputs.append(x)
    return [*outputs[:2], norm('norm', outputs[2])]


@pytest.mark.parametrize(('depth', 'widen_factor'), [(10, 2), (16, 3)])
def test_forward_is_the_definition_written_out(depth: int, widen_factor: int):
    torch.manual_seed(0)
    network = WideResNet(depth, widen_factor, out_indices=(0, 1, 2)).double().eval()
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) * 0.5 + 0.1)
    images = torch.randn(2, 3, 16, 12, dtype=torch.float64)
    outputs = network(images)
    for actual, expected in zip(outputs, by_definition(network.state_dict(), images, (depth - 4) // 6), strict=True):
        torch.testing.assert_close(actual, expected)
    assert [tuple(output.shape[1:]) for output in outputs] == [
        (16 * widen_factor * 2**stage, 16 // 2**stage, 12 // 2**stage) for stage in range(3)
    ]


def test_wanted_stages_come_out_alone():
    network = WideResNet(10, 1, out_indices=(0, 2)).eval()
    images = torch.randn(1, 3, 8, 8)
    first, last = network(images)
    assert torch.equal(WideResNet.forward(network, images)[1], last)
    network.out_indices = (0,)
    (only,) = network(images)
    assert torch.equal(only, first)


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    plain, dropped = WideResNet(10, 1), WideResNet(10, 1, dropout=0.3)
    dropped.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(plain.eval()(images), dropped.eval()(images))
    assert not torch.allclose(plain.train()(images)[0], dropped.train()(images)[0])


def test_start_weights_are_he_s():
    network = WideResNet(10, 4)
    network.init_weights()
    conv = network.layer3[0].conv2
    expected = (2 / (conv.weight.shape[0] * 9)) ** 0.5
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.02)
    assert all((norm.weight == 1).all() for norm in network.modules() if isinstance(norm, nn.BatchNorm2d))


def test_frames_are_fused_in_every_block():
    sites = find_sites(WideResNet(16, 1))
    assert [(site.first, site.last, site.stage) for site in sites] == [
        (f'layer{stage}.{block}.conv1', f'layer{stage}.{block}.conv2', f'layer{stage}')
        for stage in (1, 2, 3)
        for block in (0, 1)
    ]
    config = dict(
        type='mmdas.FrameFusionBackbone',
        backbone=dict(type='mmdas.WideResNet', depth=10, widen_factor=1),
        num_frames=2,
        fusion=dict(type='mmdas.TemporalShift'),
    )
    network = MODELS.build(config)
    assert isinstance(network, FrameFusionBackbone)
    (features,) = network(torch.randn(3, 6, 8, 8))
    assert features.shape == (6, 64, 2, 2)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'depth': 30}, 'must be 6 n . 4, such as 16, 28 or 40, got 30'),
        ({'depth': 4}, 'must be 6 n . 4'),
        ({'widen_factor': 0}, 'widen_factor must be at least 1, got 0'),
        ({'dropout': 1.0}, r'dropout must be in \[0, 1\), got 1.0'),
        ({'out_indices': (3,)}, r'out_indices must be some of 0..2, got \(3,\)'),
        ({'out_indices': ()}, 'out_indices must be some of'),
    ],
)
def test_a_network_that_there_is_not_is_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        WideResNet(**{'depth': 16, 'widen_factor': 1, **options})
