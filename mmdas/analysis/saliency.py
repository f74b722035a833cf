"""Saliency maps: which pixels a prediction depends on (Simonyan et al. 2013; Smilkov et al. 2017)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmdas.ops.saliency import input_saliency

from .network import Batch, ImageNetwork


def saliency_maps(
    network: ImageNetwork, batch: Batch, classes: Sequence[int] | None = None, samples: int = 1, noise: float = 0.15
) -> Tensor:
    """Size of d logit / d image, the maximum over the colours (Simonyan et al. 2013, Sec. 3.1).

    The logit is :meth:`ImageNetwork.scores`. The clip of a model of DAS is a step of the network, so that there is one
    map in the place of the image, which counts what a pixel does in all frames.

    Args:
        network: that predicts, while it is ``evaluating``.
        batch: of ``network.read``.
        classes: one for each image. Default: the predicted ones.
        samples: number of images with noise, see :func:`smooth_saliency`; 1 takes the image as it is.
        noise: of these.

    Returns:
        (B, H, W), >= 0, float32; zero in the padding.

    Raises:
        AnalysisError: for a class that the network does not have.
        ValueError: for fewer samples than 1 or negative noise.
    """
    with torch.no_grad():
        decided = network.logits(batch).argmax(1).tolist() if classes is None and not network.label_maps else classes

    def score(images: Tensor) -> Tensor:
        return network.scores(batch, decided, images)

    maps = smooth_saliency(score, batch.images, samples, noise)
    for one, (height, width) in zip(maps, batch.sizes, strict=True):
        one[height:] = 0
        one[:, width:] = 0
    return maps


def smooth_saliency(score: Callable[[Tensor], Tensor], images: Tensor, samples: int = 1, noise: float = 0.15) -> Tensor:
    """Mean of the saliency of images with normal noise (SmoothGrad, Smilkov et al. 2017, Sec. 3).

    Args:
        score: images (B, C, H, W) -> (B,).
        images: (B, C, H, W).
        samples: number of images with noise; 1 takes the image as it is, without noise.
        noise: standard deviation in units of the range of the image's values, >= 0. The paper takes 0.1 to 0.2.

    Returns:
        (B, H, W). The noise is drawn from torch's global generator on the CPU.

    Raises:
        ValueError: for fewer samples than 1 or negative noise.
    """
    if samples < 1 or not noise >= 0:
        raise ValueError(f'samples is {samples} and noise {noise}, expected at least 1 and at least 0')
    if samples == 1:
        return input_saliency(score, images)
    span = images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True)
    total = images.new_zeros(())
    for _ in range(samples):
        drawn = torch.randn(images.shape).to(images)
        total = total + input_saliency(score, images + noise * span * drawn)
    return total / samples
