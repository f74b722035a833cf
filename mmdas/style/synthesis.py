"""Textures and styles by optimisation of an image (Gatys et al., NeurIPS 2015 and CVPR 2016)."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from .named_layers import FeatureNetwork
from .statistics import gram_matrix

STYLE_LAYERS = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1')
CONTENT_LAYER = 'relu4_2'
HISTORY = 20  # pairs that L-BFGS remembers, two images each
PENALTY = 10.0  # of the mean square by which pixels leave [0, 1]

Weights = Mapping[str, float]


class Synthesis(NamedTuple):
    """An image that was optimised.

    Args:
        image: (N, 3, H, W) in [0, 1].
        losses: of each evaluation, in their order.
    """

    image: Tensor
    losses: list[float]


def style_loss(features: Mapping[str, Tensor], grams: Mapping[str, Tensor], weights: Weights) -> Tensor:
    """Sum of w_l E_l, where E_l is a quarter of the mean squared difference of the Gram matrices of layer l.

    With G = F F^T / (H W) that is Eq. 4 of CVPR 2016, also for images of other sizes than the style's.

    Args:
        features: of the image, by layer.
        grams: of the style, by layer.
        weights: w_l.
    """
    losses = [weight * distance(features[layer], grams[layer]) for layer, weight in weights.items()]
    return torch.stack(losses).sum()


def distance(features: Tensor, gram: Tensor) -> Tensor:
    """E_l, a scalar."""
    own = gram_matrix(features)
    return mse_loss(own, gram.expand_as(own)) / 4


def style_grams(style: Tensor, network: FeatureNetwork, layers: Sequence[str]) -> dict[str, Tensor]:
    """Gram matrices of a style image by layer."""
    with torch.no_grad():
        return {layer: gram_matrix(features) for layer, features in network(style, layers).items()}


def equal_weights(layers: Sequence[str]) -> dict[str, float]:
    """The weights of Gatys et al.: 1 / L for each of L layers."""
    return {layer: 1 / len(layers) for layer in layers}


def balanced_weights(grams: Mapping[str, Tensor]) -> dict[str, float]:
    """Weights with which every layer counts alike, whatever the scale of its features.

    That is 1 / (L E_l) with the E_l of an image without any features. The loss is then the mean squared relative error
    of the Gram matrices. Networks whose layers are of different scale
    need it, random ones above all.
    """
    return {layer: 4 / (len(grams) * max(float(gram.square().mean()), 1e-30)) for layer, gram in grams.items()}


def synthesize_texture(
    style: Tensor,
    network: FeatureNetwork,
    size: tuple[int, int] | None = None,
    layers: Sequence[str] = STYLE_LAYERS,
    weights: Weights | None = None,
    iterations: int = 500,
    start: Tensor | None = None,
) -> Synthesis:
    """A new image of the texture of another one: its features have the same Gram matrices (Gatys et al., 2015).

    Args:
        style: (1, 3, H, W) in [0, 1].
        network: such as :class:`mmdas.style.VGG19`.
        size: (H, W) of the new image. Default: that of ``style``.
        layers: of the network. Default: relu1_1 to relu5_1.
        weights: of the layers. Default: :func:`balanced_weights`; Gatys' are :func:`equal_weights`.
        iterations: of L-BFGS, >= 1. Default: 500.
        start: (1, 3, H, W). Default: noise with mean and deviation of the style's colours, by PyTorch's random numbers
            of the CPU.

    Raises:
        ValueError: for images of another shape, or less than one iteration.
    """
    check_image(style, 'style')
    if start is None:
        start = coloured_noise(style, size or (style.shape[-2], style.shape[-1]))
    check_image(start, 'start')
    grams = style_grams(style, network, layers)
    used = balanced_weights(grams) if weights is None else weights
    return minimise(start, lambda image: style_loss(network(image, layers), grams, used), iterations)


def transfer_style(
    content: Tensor,
    style: Tensor,
    network: FeatureNetwork,
    style_weight: float = 30.0,
    content_layer: str = CONTENT_LAYER,
    layers: Sequence[str] = STYLE_LAYERS,
    weights: Weights | None = None,
    iterations: int = 300,
    start: Tensor | None = None,
) -> Synthesis:
    """The content of one image in the style of another (Gatys et al., CVPR 2016, Eq. 7).

    The loss is half the mean squared difference of the features of ``content_layer``, relative to their mean square,
    and ``style_weight`` times :func:`style_loss`.

    Args:
        content, style: (1, 3, H, W) in [0, 1]; sizes may differ.
        network: such as :class:`mmdas.style.VGG19`.
        style_weight: beta / alpha of the paper, >= 0. Default: 30, for losses that are both relative.
        content_layer: Default: relu4_2.
        layers, weights: see :func:`synthesize_texture`.
        iterations: of L-BFGS, >= 1. Default: 300.
        start: (1, 3, H, W). Default: the content.

    Raises:
        ValueError: for images of another shape, a negative weight, or less than one iteration.
    """
    for name, image in (('content', content), ('style', style)):
        check_image(image, name)
    if style_weight < 0:
        raise ValueError(f'style_weight must be at least 0, got {style_weight}')
    grams = style_grams(style, network, layers)
    used = balanced_weights(grams) if weights is None else weights
    with torch.no_grad():
        wanted = network(content, [content_layer])[content_layer]
    scale = 2 * wanted.square().mean().clamp_min(1e-30)

    def loss(image: Tensor) -> Tensor:
        features = network(image, [*layers, content_layer])
        return mse_loss(features[content_layer], wanted) / scale + style_weight * style_loss(features, grams, used)

    return minimise(content if start is None else start, loss, iterations)


def minimise(start: Tensor, loss: Callable[[Tensor], Tensor], iterations: int) -> Synthesis:
    """L-BFGS on the pixels. A penalty keeps them near [0, 1], so that the last clamp changes little.

    Raises:
        ValueError: for less than one iteration.
    """
    if iterations < 1:
        raise ValueError(f'iterations must be at least 1, got {iterations}')
    image = start.detach().clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [image],
        max_iter=iterations,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        history_size=HISTORY,
        line_search_fn='strong_wolfe',
    )
    losses: list[float] = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(image) + PENALTY * (image - image.clamp(0, 1)).square().mean()
        value.backward()
        losses.append(float(value.detach()))
        return value

    optimizer.step(closure)
    return Synthesis(image.detach().clamp(0, 1), losses)


def coloured_noise(style: Tensor, size: tuple[int, int]) -> Tensor:
    """Noise (1, 3, H, W) with the mean and deviation of each colour of a style."""
    noise = torch.randn(1, style.shape[1], *size).to(style)
    mean, std = style.mean((2, 3), keepdim=True), style.std((2, 3), keepdim=True)
    return (mean + std * noise).clamp(0, 1)


def check_image(image: Tensor, name: str) -> None:
    """Refuse what is no single colour image.

    Raises:
        ValueError: naming its shape.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ValueError(f'{name} must be of shape (1, 3, H, W), got {tuple(image.shape)}')
