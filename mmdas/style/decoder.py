"""The decoder of AdaIN (Huang and Belongie, ICCV 2017): VGG-19 up to relu4_1, mirrored, without norms."""

from pathlib import Path

from torch import Tensor, nn

from .weights import State, fill_by_name

# (place in the published sequence, channels in, channels out, whether the result is enlarged)
CONVOLUTIONS = (
    (1, 512, 256, True),
    (5, 256, 256, False),
    (8, 256, 256, False),
    (11, 256, 256, False),
    (14, 256, 128, True),
    (18, 128, 128, False),
    (21, 128, 64, True),
    (25, 64, 64, False),
    (28, 64, 3, False),
)
FILES = 'the decoder.pth of AdaIN, whose first weight is 1.weight'


class AdaINDecoder(nn.Sequential):
    """Features of relu4_1 -> colours in about [0, 1].

    Its weights have the names of the published PyTorch decoder, the places of its convolutions: 1, 5, 8, ..., 28. They
    pad by reflection, and enlarging repeats pixels.

    Args:
        weights: such a file, or ``'random'`` for one to train.

    Shape:
        (N, 512, h, w), h and w at least 2 -> (N, 3, 8 h, 8 w).

    Raises:
        FileNotFoundError: if there is no such file.
        StyleWeightsError: for weights of another network, or None.
    """

    def __init__(self, weights: str | Path | None) -> None:
        super().__init__()
        for place, width, channels, enlarges in CONVOLUTIONS:
            self.add_module(str(place), nn.Conv2d(width, channels, 3, padding=1, padding_mode='reflect'))
            if channels != 3:
                self.add_module(f'relu{place}', nn.ReLU())
            if enlarges:
                self.add_module(f'enlarge{place}', nn.Upsample(scale_factor=2, mode='nearest'))
        fill_by_name(self, weights, translate, FILES)

    def forward(self, features: Tensor) -> Tensor:
        """Colours of features."""
        return super().forward(features)


def translate(state: State) -> State | None:
    """Weights of a file as they are; None where the first one is not there."""
    return state if '1.weight' in state and '28.weight' in state else None
