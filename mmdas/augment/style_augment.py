"""Style randomisation as a step on the batches of a training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import AugmentOperation
from mmdas.style import AdaINStyle, ColourStatistics, StyleDistribution, list_images, read_image
from mmdas.style.stylizer import check_alpha

from .checks import check_share
from .colour_augment import ColourAugment


@AUGMENTS.register_module()
class StyleAugment(ColourAugment):
    """Give images random styles; what they show, and their labels, stay (after Jackson et al., CVPR workshops 2019).

    Styles are drawn from a Gaussian that is fitted to the images of a folder, see
    :class:`mmdas.style.StyleDistribution`, and mixed with the image's own style. Jackson et al. have a network of their
    own, which predicts styles as embeddings. Here AdaIN (Huang and Belongie, ICCV 2017) takes its place, with the
    weights of ``encoder`` and ``decoder``. Without them the style is the mean and deviation of the colours alone: a
    random transfer of colours, which leaves textures as they are.

    Styles and weights are read before the training. They belong to no state, optimiser or copy of the model, and a test
    does without their files.

    Args:
        styles: folder of style images, with folders within it.
        encoder, decoder: files of AdaIN's weights, both or neither, see :class:`mmdas.style.AdaINStyle`.
        alpha: share of the random style, in [0, 1]. Default: 0.5, as in the paper.
        probability: that an image gets another style, in [0, 1]. Default: 0.5.
        max_styles: number of images that the Gaussian is fitted to, taken evenly from the folder. Default: 200.
        style_size: pixels of the shorter side to which larger style images are reduced. Default: 256.

    Shape:
        images (B, 3, H, W), normalised as the data preprocessor says -> the same.

    Raises:
        ValueError: for a number outside its range, or only one of ``encoder`` and ``decoder``; in a call for images
            that are not of three channels.
        FileNotFoundError: before a training, for a file or folder that is not there.
    """

    def __init__(
        self,
        styles: str | Path,
        encoder: str | Path | None = None,
        decoder: str | Path | None = None,
        alpha: float = 0.5,
        probability: float = 0.5,
        max_styles: int = 200,
        style_size: int = 256,
    ) -> None:
        # The parent's ignore_index is for labels that move; a step without one is not asked for it.
        if (encoder is None) != (decoder is None):
            raise ValueError('StyleAugment takes encoder and decoder, or neither for a transfer of colours')
        check_alpha(alpha)
        check_share(probability, 'probability of StyleAugment')
        for name, value, least in (('max_styles', max_styles, 2), ('style_size', style_size, 16)):
            if value < least:
                raise ValueError(f'{name} of StyleAugment must be at least {least}, got {value}')
        self.styles, self.files = styles, (encoder, decoder)
        self.alpha, self.probability = alpha, probability
        self.max_styles, self.style_size = max_styles, style_size
        self._ready: Any = None

    @property
    def operations(self) -> list[AugmentOperation]:
        """The one that happens, whose magnitude is alpha."""
        return [AugmentOperation('style', self.restyle, 0.0, 1.0, 'share of the random style', reads_grey=True)]

    def use_model(self, model: nn.Module) -> None:
        """Before a training: read weights and styles, on the device of the model.

        Raises:
            FileNotFoundError: if one is not there.
        """
        self._prepare(next(model.parameters()).device)

    def augment(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Draw which images get a style, and which one."""
        magnitude = self.alpha * (torch.rand(len(images)) < self.probability)
        return self.restyle(images, magnitude), labels

    def restyle(self, images: Tensor, magnitude: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [0, 1] in random styles; those of magnitude (N,) 0 stay as they are."""
        if images.shape[1] != 3:
            raise ValueError(f'StyleAugment takes images of three channels, got {images.shape[1]}')
        stylizer, distribution = self._prepare(images.device)
        style = distribution.draw(len(images))  # of all images, so that the numbers do not depend on the magnitudes
        chosen = magnitude.nonzero().flatten()
        if not len(chosen):
            return images
        places = chosen.to(images.device)
        with torch.autocast(images.device.type, enabled=False):
            drawn = type(style)(*(value[places] for value in style))
            changed = stylizer.stylize(images[places].float(), drawn, magnitude[chosen])
        return images.index_copy(0, places, changed.to(images.dtype))

    def _prepare(self, device: torch.device) -> tuple[Any, StyleDistribution]:
        """Network and styles on a device, read when they are first needed."""
        if self._ready is None:
            with torch.random.fork_rng(devices=[]):  # new modules draw numbers before their weights are loaded
                stylizer = ColourStatistics() if self.files[0] is None else AdaINStyle(*self.files)
            stylizer.to(device)
            files = list_images(self.styles)
            chosen = sorted(set(np.linspace(0, len(files) - 1, min(len(files), self.max_styles)).round().astype(int)))
            images = (read_image(files[place], self.style_size).to(device) for place in chosen)
            with torch.no_grad():
                self._ready = stylizer, StyleDistribution.fit([stylizer.statistics(image) for image in images])
        stylizer, distribution = self._ready
        if distribution.centre.device != device:
            self._ready = stylizer.to(device), distribution.to(device)
        return self._ready
