"""Networks of style methods read the weights that others trained, and compute what those compute."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from narrow_vgg import EIGHTH, narrow  # noqa: F401
from torch import nn
from torchvision.models.vgg import make_layers

from mmdas.style import VGG19, AdaINDecoder, AdaINStyle, FastStyle, NamedLayers, StyleWeightsError, channel_statistics

pytestmark = pytest.mark.usefixtures('narrow')
RELUS = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu4_2', 'relu5_1', 'relu5_4')
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def torchvision_vgg() -> nn.Sequential:
    configuration = []
    for number, (channels, count) in enumerate(EIGHTH):
        configuration += [channels] * count + ['M'] * (number < 4)
    return make_layers(configuration)


def relus_of(network: nn.Sequential, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Outputs of all ReLUs under the names of VGG, counting pools."""
    found, block, number = {}, 1, 0
    for layer in network:
        images = layer(images)
        if isinstance(layer, nn.ReLU):
            number += 1
            found[f'relu{block}_{number}'] = images.clone()
        elif isinstance(layer, nn.MaxPool2d):
            block, number = block + 1, 0
    return found


def save(state: dict, path: Path) -> Path:
    torch.save(state, path)
    return path


def assert_equal_features(network, reference: dict, images: torch.Tensor) -> None:
    found = network(images, RELUS)
    for name in RELUS:
        atol = 1e-4 * float(reference[name].detach().abs().max())
        torch.testing.assert_close(found[name], reference[name], rtol=1e-3, atol=atol)


def test_vgg_with_the_file_of_torchvision_is_that_of_torchvision(tmp_path: Path):
    reference, images = torchvision_vgg(), torch.rand(2, 3, 48, 40)
    state = {f'features.{name}': value for name, value in reference.state_dict().items()}
    path = save({**state, 'classifier.0.weight': torch.zeros(2, 2)}, tmp_path / 'vgg19.pth')
    assert_equal_features(VGG19(path), relus_of(reference, (images - MEAN) / STD), images)


def test_vgg_with_the_file_of_gatys_takes_bgr_in_255(tmp_path: Path):
    reference, images = torchvision_vgg(), torch.rand(2, 3, 48, 40)
    convolutions = [layer for layer in reference if isinstance(layer, nn.Conv2d)]
    names = [f'conv{block}_{number + 1}' for block, (_, count) in enumerate(EIGHTH, 1) for number in range(count)]
    state = {
        f'{name}.{part}': getattr(layer, part)
        for name, layer in zip(names, convolutions, strict=True)
        for part in ('weight', 'bias')
    }
    blue_first = 255 * (images.flip(1) - torch.tensor([0.40760392, 0.45795686, 0.48501961]).view(3, 1, 1))
    path = save(state, tmp_path / 'vgg_conv.pth')
    assert_equal_features(VGG19(path), relus_of(reference, blue_first), images)


def padded_vgg() -> nn.Sequential:
    """As AdaIN's in PyTorch: a convolution of colours, pads before the others, pools that round up."""
    layers, width = [nn.Conv2d(3, 3, 1)], 3
    for number, (channels, count) in enumerate(EIGHTH):
        for _ in range(count):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, channels, 3), nn.ReLU()]
            width = channels
        layers += [nn.MaxPool2d(2, ceil_mode=True)] * (number < 4)
    return nn.Sequential(*layers)


def test_vgg_with_the_file_of_adain_pads_by_reflection_and_rounds_up(tmp_path: Path):
    reference, images = padded_vgg(), torch.rand(2, 3, 50, 42)
    path = save(reference.state_dict(), tmp_path / 'vgg_normalised.pth')
    assert_equal_features(VGG19(path), relus_of(reference, images), images)


def mirrored_decoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = [64, 32, 32, 32, 32, 16, 16, 8, 8]
    for number, (width, channels) in enumerate(pairwise(widths)):
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, channels, 3), nn.ReLU()]
        if number in (0, 4, 6):
            layers.append(nn.UpsamplingNearest2d(scale_factor=2))
    return nn.Sequential(*layers, nn.ReflectionPad2d(1), nn.Conv2d(8, 3, 3))


def test_decoder_reads_the_published_names_and_computes_the_same(tmp_path: Path):
    reference, features = mirrored_decoder(), torch.randn(2, 64, 4, 5)
    names = {name.split('.')[0] for name in reference.state_dict()}
    assert names == {'1', '5', '8', '11', '14', '18', '21', '25', '28'}
    decoder = AdaINDecoder(save(reference.state_dict(), tmp_path / 'decoder.pth'))
    torch.testing.assert_close(decoder(features), reference(features))


def test_decoder_gets_features_with_the_statistics_of_the_style():
    network, seen = AdaINStyle('random', 'random'), []
    network.decoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images, style = torch.rand(2, 3, 48, 32), network.statistics(torch.rand(1, 3, 40, 56))
    network.stylize(images, style)
    found = channel_statistics(seen[0])
    torch.testing.assert_close(found.mean, style.mean.expand(2, -1), rtol=1e-3, atol=1e-3)
    alive = channel_statistics(network.encode(images)).std.min(0).values > 0.05  # the others are divided by epsilon
    assert alive.sum() > 20
    torch.testing.assert_close(found.std[:, alive], style.std.expand(2, -1)[:, alive], rtol=0.02, atol=1e-3)


def test_alpha_zero_decodes_the_features_of_the_image():
    network, images = AdaINStyle('random', 'random'), torch.rand(1, 3, 32, 32)
    style = network.statistics(torch.rand(1, 3, 32, 32))
    expected = network.decoder(network.encode(images)).clamp(0, 1)
    torch.testing.assert_close(network.stylize(images, style, 0.0), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('size', [(32, 40), (33, 47), (21, 30)])
def test_stylised_image_has_the_size_of_the_image(size: tuple[int, int]):
    network = AdaINStyle('random', 'random')
    images = network.stylize(torch.rand(1, 3, *size), network.statistics(torch.rand(1, 3, 32, 32)))
    assert images.shape == (1, 3, *size)
    assert images.min() >= 0 and images.max() <= 1


def published_fast_style(width: int = 4) -> dict[str, torch.Tensor]:
    """Weights by the names of fast_neural_style, with the statistics that old checkpoints have."""
    shapes = {
        'conv1': (width, 3, 9),
        'conv2': (2 * width, width, 3),
        'conv3': (4 * width, 2 * width, 3),
        'deconv1': (2 * width, 4 * width, 3),
        'deconv2': (width, 2 * width, 3),
        'deconv3': (3, width, 9),
    }
    norms = {'in1': width, 'in2': 2 * width, 'in3': 4 * width, 'in4': 2 * width, 'in5': width}
    for block in range(1, 6):
        shapes |= {f'res{block}.conv{number}': (4 * width, 4 * width, 3) for number in (1, 2)}
        norms |= {f'res{block}.in{number}': 4 * width for number in (1, 2)}
    state = {}
    for name, (channels, inner, side) in shapes.items():
        state[f'{name}.conv2d.weight'] = torch.randn(channels, inner, side, side)
        state[f'{name}.conv2d.bias'] = torch.randn(channels)
    for name, channels in norms.items():
        state |= {f'{name}.{part}': torch.randn(channels) for part in ('weight', 'bias', 'running_mean', 'running_var')}
    return state


def run_published(state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """The published network written out, on colours in 0..255."""

    def conv(name: str, maps: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = state[f'{name}.conv2d.weight']
        padded = nn.functional.pad(maps, [weight.shape[-1] // 2] * 4, mode='reflect')
        return nn.functional.conv2d(padded, weight, state[f'{name}.conv2d.bias'], stride)

    def norm(name: str, maps: torch.Tensor) -> torch.Tensor:
        mean, var = maps.mean((2, 3), keepdim=True), maps.var((2, 3), unbiased=False, keepdim=True)
        scale, shift = (state[f'{name}.{part}'].view(-1, 1, 1) for part in ('weight', 'bias'))
        return (maps - mean) / (var + 1e-5).sqrt() * scale + shift

    maps = images
    for number, stride in ((1, 1), (2, 2), (3, 2)):
        maps = norm(f'in{number}', conv(f'conv{number}', maps, stride)).relu()
    for block in range(1, 6):
        inner = norm(f'res{block}.in1', conv(f'res{block}.conv1', maps)).relu()
        maps = maps + norm(f'res{block}.in2', conv(f'res{block}.conv2', inner))
    for number in (1, 2):
        larger = maps.repeat_interleave(2, 2).repeat_interleave(2, 3)
        maps = norm(f'in{number + 3}', conv(f'deconv{number}', larger)).relu()
    return conv('deconv3', maps)


def test_fast_style_reads_the_published_names_and_computes_the_same(tmp_path: Path):
    state, images = published_fast_style(), torch.rand(2, 3, 24, 20)
    network = FastStyle(save(state, tmp_path / 'mosaic.pth'), width=4)
    expected = run_published(state, 255 * images) / 255
    torch.testing.assert_close(network(images), expected, rtol=1e-3, atol=1e-3)


def test_fast_style_keeps_any_size():
    assert FastStyle('random', width=4)(torch.rand(1, 3, 17, 22)).shape == (1, 3, 17, 22)


def test_fast_style_saves_what_it_reads(tmp_path: Path):
    network, images = FastStyle('random', width=4), torch.rand(1, 3, 16, 16)
    path = save(network.state_dict(), tmp_path / 'own.pth')
    assert torch.equal(FastStyle(path, width=4)(images), network(images))


def test_layers_of_any_network_have_its_outputs_before_they_change_in_place():
    network, images = torchvision_vgg(), torch.rand(1, 3, 16, 16)
    found = NamedLayers(network)(images, ['0', '1'])
    torch.testing.assert_close(found['0'], network[0]((images - MEAN) / STD))
    assert found['0'].min() < 0 and torch.equal(found['1'], found['0'].relu())
    assert not any(module._forward_hooks for module in network.modules())


class TestErrors:
    @pytest.mark.parametrize('kind', [VGG19, AdaINDecoder, FastStyle])
    def test_random_weights_must_be_asked_for(self, kind: type):
        with pytest.raises(StyleWeightsError, match="needs weights: give .*, or weights='random'"):
            kind(None)

    @pytest.mark.parametrize('kind', [VGG19, AdaINDecoder, FastStyle])
    def test_weights_of_another_network_are_named(self, kind: type, tmp_path: Path):
        path = save({'fc.weight': torch.zeros(2)}, tmp_path / 'other.pth')
        with pytest.raises(StyleWeightsError, match=rf'other.pth is of no layout that {kind.__name__} knows'):
            kind(path)

    def test_missing_weight_is_named(self, tmp_path: Path):
        state = mirrored_decoder().state_dict()
        del state['14.bias']
        with pytest.raises(StyleWeightsError, match=r'decoder.pth .* AdaINDecoder: it lacks 14.bias'):
            AdaINDecoder(save(state, tmp_path / 'decoder.pth'))

    def test_other_width_is_named(self, tmp_path: Path):
        path = save(published_fast_style(8), tmp_path / 'wide.pth')
        with pytest.raises(StyleWeightsError, match=r'wide.pth: conv1.conv2d.weight is of shape \(8, 3, 9, 9\)'):
            FastStyle(path, width=4)

    def test_file_that_is_no_checkpoint(self, tmp_path: Path):
        (tmp_path / 'page.pth').write_text('<html>')
        with pytest.raises(StyleWeightsError, match='page.pth cannot be read as a checkpoint'):
            VGG19(tmp_path / 'page.pth')

    def test_no_file(self):
        with pytest.raises(FileNotFoundError, match='there is no checkpoint nowhere.pth'):
            FastStyle('nowhere.pth')

    def test_unknown_layer_and_pooling(self):
        with pytest.raises(ValueError, match=r"no layer \['relu9_1'\]; it has colours, conv1_1"):
            VGG19('random')(torch.rand(1, 3, 32, 32), ['relu9_1'])
        with pytest.raises(ValueError, match="pooling of VGG19 must be one of .*, got 'sum'"):
            VGG19('random', pooling='sum')
        with pytest.raises(ValueError, match='Sequential has no module 99'):
            NamedLayers(torchvision_vgg())(torch.rand(1, 3, 16, 16), ['99'])

    def test_images_that_are_too_small(self):
        with pytest.raises(ValueError, match=r'images of \(8, 8\) pixels are too small for relu5_1'):
            VGG19('random')(torch.rand(1, 3, 8, 8), ['relu5_1'])

    def test_alpha_outside_its_range(self):
        network = AdaINStyle('random', 'random')
        style = network.statistics(torch.rand(1, 3, 32, 32))
        with pytest.raises(ValueError, match=r'alpha must be in \[0, 1\], got 1.5'):
            network.stylize(torch.rand(1, 3, 32, 32), style, 1.5)
