"""A network for one style (Johnson et al., ECCV 2016), with instance norm (Ulyanov et al. 2016)."""

import re
from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from .weights import State, fill_by_name

WHITE = 255.0
BLOCKS = 5
FILES = 'a checkpoint of fast_neural_style of pytorch/examples'
OLD_STATISTICS = re.compile(r'in\d+\.running_(mean|var)$|in\d+\.num_batches_tracked$')


class PaddedConv(nn.Module):
    """A convolution that pads by reflection.

    Args:
        width, channels: of input and output.
        kernel: odd side.
        stride: Default: 1.
        scale: by which the input is enlarged first. Default: 1.
    """

    def __init__(self, width: int, channels: int, kernel: int, stride: int = 1, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.conv2d = nn.Conv2d(width, channels, kernel, stride, kernel // 2, padding_mode='reflect')

    def forward(self, features: Tensor) -> Tensor:
        if self.scale > 1:
            features = interpolate(features, scale_factor=self.scale, mode='nearest')
        return self.conv2d(features)


class ResidualBlock(nn.Module):
    """Two convolutions with instance norm, added to the input, without a ReLU at the end."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = PaddedConv(channels, channels, 3)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = PaddedConv(channels, channels, 3)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.in2(self.conv2(relu(self.in1(self.conv1(features)))))


class FastStyle(nn.Module):
    """Images in the style that the weights were trained for, in one pass.

    Its weights have the names of fast_neural_style in pytorch/examples. Their checkpoints count colours in 0..255, and
    so does the network inside.

    Args:
        weights: such a checkpoint, or ``'random'`` for a network to train.
        width: channels of the first layer. Default: 32.

    Shape:
        (N, 3, H, W) in [0, 1] -> the same, of any size from 12 pixels on. Values may leave [0, 1].

    Raises:
        FileNotFoundError: if there is no such file.
        StyleWeightsError: for weights of another network, or None.
    """

    def __init__(self, weights: str | Path | None, width: int = 32) -> None:
        super().__init__()
        self.conv1, self.in1 = PaddedConv(3, width, 9), nn.InstanceNorm2d(width, affine=True)
        self.conv2, self.in2 = PaddedConv(width, 2 * width, 3, 2), nn.InstanceNorm2d(2 * width, affine=True)
        self.conv3, self.in3 = PaddedConv(2 * width, 4 * width, 3, 2), nn.InstanceNorm2d(4 * width, affine=True)
        for number in range(1, BLOCKS + 1):
            self.add_module(f'res{number}', ResidualBlock(4 * width))
        self.deconv1, self.in4 = PaddedConv(4 * width, 2 * width, 3, scale=2), nn.InstanceNorm2d(2 * width, affine=True)
        self.deconv2, self.in5 = PaddedConv(2 * width, width, 3, scale=2), nn.InstanceNorm2d(width, affine=True)
        self.deconv3 = PaddedConv(width, 3, 9)
        fill_by_name(self, weights, translate, FILES)

    def forward(self, images: Tensor) -> Tensor:
        """Images in the style."""
        features = images * WHITE
        for number in (1, 2, 3):
            features = self._step(f'conv{number}', f'in{number}', features)
        for number in range(1, BLOCKS + 1):
            features = self.get_submodule(f'res{number}')(features)
        for number in (1, 2):
            features = self._step(f'deconv{number}', f'in{number + 3}', features)
        height, width = images.shape[-2:]
        return self.deconv3(features)[..., :height, :width] / WHITE

    def _step(self, convolution: str, norm: str, features: Tensor) -> Tensor:
        return relu(self.get_submodule(norm)(self.get_submodule(convolution)(features)))


def translate(state: State) -> State | None:
    """The weights of a checkpoint; old ones hold statistics that instance norm does not use."""
    if 'deconv3.conv2d.weight' not in state:
        return None
    return {name: value for name, value in state.items() if not OLD_STATISTICS.search(name)}
