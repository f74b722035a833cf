"""Cutout and random erasing that leave alone what matters."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdas.augment.label_maps import map_names, stack_maps, with_maps
from mmdas.registry import AUGMENTS
from mmdas.search.augmentation import AUGMENT_OPERATIONS, AugmentOperation
from mmdas.search.das import Pixels

from .network import Network
from .sizes import RegionSizes
from .sources import SaliencySource
from .step import QUANTILE, KeepStep, content_sides

FILLS = ('mean', 'grey', 'random')
GREY = 0.5


@AUGMENTS.register_module()
class KeepCutout(KeepStep):
    """Cover a region that matters little (Gong et al., CVPR 2021, *selective cut*): KeepCutout, or erasing.

    A region lies within the content of its image. Its position is uniform among those whose importance is at most the
    quantile. Cutout is ``size=0.5``, erasing ``size=(0.14, 0.57), aspect=(0.3, 3.3), fill='random'``.

    Args:
        size: side of the region as a share of the content's, in (0, 1], or two numbers to draw from. Default: 0.5.
        aspect: height over width of the region relative to the content's, or two numbers to draw from. Default: 1.
        fill: ``'mean'`` (default), the zero of normalised images; ``'grey'``, half of white; ``'random'``, the normal
            distribution of normalised pixels, for each pixel and channel.
        ignore_covered: whether covered pixels of label maps get the label that the head leaves out. Default: False,
            the labels stay.
        quantile, probability, saliency: see :class:`KeepStep`.

    Shape:
        images (B, C, H, W), normalised, and samples -> the same, new ones.

    Raises:
        ValueError: for settings out of range, or another fill.
    """

    above = False
    pixels: Pixels | None = None

    def __init__(
        self,
        size: float | Sequence[float] = 0.5,
        aspect: float | Sequence[float] = 1.0,
        fill: str = 'mean',
        ignore_covered: bool = False,
        quantile: float = QUANTILE,
        probability: float = 1.0,
        saliency: str | Mapping | SaliencySource = 'full',
    ) -> None:
        super().__init__(quantile, probability, saliency)
        if fill not in FILLS:
            raise ValueError(f'fill of KeepCutout must be one of {FILLS}, got {fill!r}')
        self.sizes = RegionSizes(size, aspect, 'KeepCutout')
        self.fill, self.ignore_covered = fill, ignore_covered
        self._ignored: Any = None

    @property
    def operations(self) -> list[AugmentOperation]:
        """What needs to know colours: covering with grey."""
        return [AUGMENT_OPERATIONS['cutout']] if self.fill == 'grey' else []

    def use_pixels(self, pixels: Pixels) -> None:
        """Take what stands between the images of a batch and colours."""
        self.pixels = pixels

    def use_model(self, model: nn.Module) -> None:
        """Take the model that is trained."""
        super().use_model(model)
        self._ignored = Network(model).ignore_index

    def __call__(self, images: Tensor, samples: Any) -> tuple[Tensor, Any]:
        """Images and samples with covered regions."""
        samples, canvas, places = self.begin(images, samples)
        contents = content_sides(samples, canvas)[places]
        boxes = self.draw_boxes(images, samples, places, self.sizes(contents), contents)
        covered = torch.where(boxes, self._filling(images), images)
        if not self.ignore_covered:
            return covered, samples
        maps = {name: stack_maps(name, samples, canvas, 'KeepCutout') for name in map_names(samples)}
        hidden = {name: labels.masked_fill(boxes.to(labels.device), self._ignored) for name, labels in maps.items()}
        return covered, with_maps(samples, hidden)

    def _filling(self, images: Tensor) -> Tensor:
        if self.fill == 'random':
            return torch.randn(images.shape, dtype=images.dtype).to(images.device)  # the CPU's numbers resume exactly
        if self.fill == 'mean':
            return images.new_zeros(())
        if self.pixels is None:
            raise ValueError(
                "KeepCutout with fill='grey' does not know what the pixels mean; put it into `augments` of a data "
                'preprocessor of DAS, or call use_pixels(mmdas.search.das.Pixels(mean, std))'
            )
        grey = self.pixels.unscale(images.new_full((1, images.shape[1], 1, 1), GREY) - self.pixels.zero)
        return grey.to(images.dtype)
