"""VGG-19 (Simonyan and Zisserman, ICLR 2015) as style methods use it: the features of named layers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from .weights import RANDOM, State, fill_by_name, read_state

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # (channels, convolutions)
POOLINGS = ('max', 'average')
NAMES = [f'conv{block}_{number}' for block, (_, count) in enumerate(BLOCKS, 1) for number in range(1, count + 1)]

# Places of the convolutions in the sequences of two layouts.
TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
PADDED = (2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51)  # with layers that pad, after one of colours
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BGR_MEAN = (0.40760392, 0.45795686, 0.48501961)
FILES = (
    "the file of torchvision's vgg19, of the normalised VGG of Gatys et al. (conv1_1.weight, ...), or the "
    'vgg_normalised.pth of AdaIN'
)


class VGG19(nn.Module):
    """The convolutions of VGG-19, frozen, on colours in [0, 1].

    The first step, ``colours``, is a 1x1 convolution: it normalises as the weights need it. The others are
    ``conv1_1``, ``relu1_1``, ..., ``pool1``, ..., ``relu5_4``.

    Args:
        weights: a file, whose layout is found by its names: torchvision's, the normalised VGG of Gatys et al. in
            PyTorch (BGR in 0..255 without the mean), or that of AdaIN (Huang and Belongie 2017 in PyTorch). The last
            one pads by reflection and rounds sizes up in its pools. ``'random'`` draws the weights with PyTorch's
            random numbers: Gram matrices of random features make textures, too (Ustyuzhaninov et al., ICLR 2017), but
            a decoder needs the weights that it was trained with.
        pooling: ``'max'``, or ``'average'`` as Gatys et al. (CVPR 2016, Sec. 2) prefer. Default: ``'max'``.

    Shape:
        images (N, 3, H, W) -> a dict of features by layer. Sides are 16 or more for ``relu5_1``.

    Raises:
        FileNotFoundError: if there is no such file.
        StyleWeightsError: for weights of another network, or None.
        ValueError: for an unknown pooling, an unknown layer, or images that are too small for a layer.
    """

    def __init__(self, weights: str | Path | None, pooling: str = 'max') -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f'pooling of VGG19 must be one of {POOLINGS}, got {pooling!r}')
        padded = weights is not None and str(weights) != RANDOM and is_padded(read_state(weights))
        self.layers = nn.ModuleDict(make_layers('reflect' if padded else 'zeros', pooling, ceil=padded))
        fill_by_name(self, weights, translate, FILES)
        if str(weights) == RANDOM:
            self.load_state_dict(imagenet_colours(), strict=False)
        self.eval().requires_grad_(False)

    @property
    def names(self) -> list[str]:
        """The layers in their order."""
        return list(self.layers)

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Features of some layers; what lies behind the last of them is not computed."""
        unknown = [name for name in layers if name not in self.layers]
        if unknown or not layers:
            raise ValueError(f'VGG19 has no layer {unknown}; it has {", ".join(self.names)}')
        found: dict[str, Tensor] = {}
        features, last = images, max(self.names.index(name) for name in layers)
        for name, layer in list(self.layers.items())[: last + 1]:
            if min(features.shape[-2:]) < 2 and name != 'colours':
                raise ValueError(f'images of {tuple(images.shape[-2:])} pixels are too small for {self.names[last]}')
            features = layer(features)
            if name in layers:
                found[name] = features
        return found


def make_layers(padding: Literal['zeros', 'reflect'], pooling: str, ceil: bool) -> dict[str, nn.Module]:
    """All layers by name."""
    pool = nn.MaxPool2d if pooling == 'max' else nn.AvgPool2d
    layers: dict[str, nn.Module] = {'colours': nn.Conv2d(3, 3, 1)}
    width = 3
    for block, (channels, count) in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            layers[f'conv{block}_{number}'] = nn.Conv2d(width, channels, 3, padding=1, padding_mode=padding)
            layers[f'relu{block}_{number}'] = nn.ReLU()
            width = channels
        if block < len(BLOCKS):
            layers[f'pool{block}'] = pool(2, ceil_mode=ceil)
    return layers


def is_padded(state: State) -> bool:
    """Whether weights are of a network that pads by reflection, AdaIN's."""
    return '51.weight' in state and '0.weight' in state


def imagenet_colours() -> State:
    """The normalisation of torchvision's weights."""
    std = torch.tensor(STD)
    return colours_of(torch.diag(1 / std), -torch.tensor(MEAN) / std)


def translate(state: State) -> State | None:
    """Names of a file -> those of :class:`VGG19`; None for a layout that is not known."""
    if is_padded(state):
        return {**renamed(state, [f'{place}' for place in PADDED]), **colours_of(state['0.weight'], state['0.bias'])}
    places = [f'features.{place}' for place in TORCHVISION]
    if f'{places[-1]}.weight' in state:
        return {**renamed(state, places), **imagenet_colours()}
    if f'{NAMES[-1]}.weight' in state:
        swap = torch.eye(3).flip(0)
        return {**renamed(state, NAMES), **colours_of(255 * swap, -255 * torch.tensor(BGR_MEAN))}
    return None


def renamed(state: State, places: Sequence[str]) -> State:
    """The convolutions under the names of :class:`VGG19`."""
    return {
        f'layers.{name}.{part}': state[f'{place}.{part}']
        for name, place in zip(NAMES, places, strict=True)
        for part in ('weight', 'bias')
        if f'{place}.{part}' in state
    }


def colours_of(matrix: Tensor, bias: Tensor) -> State:
    """What is done to colours first, as weights."""
    return {'layers.colours.weight': matrix.reshape(3, 3, 1, 1), 'layers.colours.bias': bias}
