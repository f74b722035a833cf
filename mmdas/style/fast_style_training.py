"""Training of a network for one style."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from .fast_style import WHITE, FastStyle
from .named_layers import FeatureNetwork
from .synthesis import check_image, style_grams, style_loss

LAYERS = ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3')
CONTENT_LAYER = 'relu2_2'


class PerceptualLoss:
    """What a stylised image has to be: near its content, near the style, smooth (Johnson et al., Sec. 3.2).

    With Gram matrices F F^T / (H W) the mean squared difference is the squared Frobenius norm of Eq. 4, whose matrices
    are divided by C H W.

    Args:
        network: such as :class:`mmdas.style.VGG19`.
        style: (1, 3, H, W) in [0, 1].
        layers: of the style. Default: relu1_2, relu2_2, relu3_3, relu4_3.
        content_layer: Default: relu2_2.
        content_weight, style_weight, smoothness: of the three parts, >= 0. Default: 1, 5, and 1e-6 for the sum of
            squared differences of neighbours in 0..255. Other weights of the network want other ones.

    Raises:
        ValueError: for a style of another shape, or a negative weight.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        style: Tensor,
        layers: Sequence[str] = LAYERS,
        content_layer: str = CONTENT_LAYER,
        content_weight: float = 1.0,
        style_weight: float = 5.0,
        smoothness: float = 1e-6,
    ) -> None:
        check_image(style, 'style')
        if min(content_weight, style_weight, smoothness) < 0:
            raise ValueError(
                f'the weights of PerceptualLoss must be at least 0, got {(content_weight, style_weight, smoothness)}'
            )
        self.network, self.layers, self.content_layer = network, tuple(layers), content_layer
        self.content_weight, self.style_weight, self.smoothness = content_weight, style_weight, smoothness
        self.grams = style_grams(style, network, self.layers)

    def __call__(self, stylised: Tensor, content: Tensor) -> Tensor:
        """Mean loss of a batch, a scalar."""
        with torch.no_grad():
            wanted = self.network(content, [self.content_layer])[self.content_layer]
        features = self.network(stylised, [*self.layers, self.content_layer])
        weights = dict.fromkeys(self.layers, 4.0)  # a quarter is part of the distance
        return (
            self.content_weight * mse_loss(features[self.content_layer], wanted)
            + self.style_weight * style_loss(features, self.grams, weights)
            + self.smoothness * total_variation(WHITE * stylised)
        )


def total_variation(images: Tensor) -> Tensor:
    """Sum of the squared differences of neighbours, per image."""
    rows, columns = images.diff(dim=-2).square().sum(), images.diff(dim=-1).square().sum()
    return (rows + columns) / len(images)


def train_fast_style(
    network: FastStyle,
    loss: PerceptualLoss,
    batches: Iterable[Tensor],
    optimizer: torch.optim.Optimizer | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train a network to give images the style of a loss.

    Args:
        network: to train; it stays in training mode.
        loss: what to learn.
        batches: images (B, 3, H, W) in [0, 1]; the training ends with them. In the paper they are those of COCO, 4 at
            a time, 256 x 256, in 40,000 steps.
        optimizer: of the network's parameters. Default: Adam, learning rate 1e-3.
        on_step: called with the number of each step, from 1 on, and its loss: to print, or to save.

    Returns:
        The loss of each step.

    Raises:
        ValueError: if there is no batch, or a loss is not finite.
    """
    optimizer = optimizer or torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train()
    losses: list[float] = []
    for step, images in enumerate(batches, 1):
        optimizer.zero_grad()
        value = loss(network(images), images)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
        if not torch.isfinite(value):
            raise ValueError(f'the loss of step {step} is {losses[-1]}; lower style_weight or the learning rate')
        if on_step is not None:
            on_step(step, losses[-1])
    if not losses:
        raise ValueError('there is no batch to train FastStyle with')
    return losses
