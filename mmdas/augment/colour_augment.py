"""What augments share that work on colours: from normalised, padded batches of a toolbox to images and labels."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdas.search.augmentation import AugmentOperation
from mmdas.search.augmentation.apply import IGNORE_INDEX
from mmdas.search.das import Pixels
from mmdas.search.das.operation import Size

from .content import content_sizes
from .label_maps import map_names, stack_maps, with_maps


class ColourAugment:
    """A step on batches whose core takes images in [0, 1] and label maps.

    The data preprocessor says what its pixels are, by :meth:`use_pixels`. Only the contents of padded images are
    touched. All maps of a sample follow the image.

    Args:
        ignore_index: label of the places that no pixel comes to. Default: 255.
    """

    pixels: Pixels | None = None

    def __init__(self, ignore_index: int = IGNORE_INDEX) -> None:
        if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
            raise ValueError(f'ignore_index of {type(self).__name__} must be an integer, got {ignore_index!r}')
        self.ignore_index = ignore_index

    @property
    def operations(self) -> list[AugmentOperation]:
        """What may happen to a batch."""
        raise NotImplementedError

    def use_pixels(self, pixels: Pixels) -> None:
        """Take what stands between the images of a batch and colours."""
        self.pixels = pixels

    def augment(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Images (N, C, H, W) in [0, 1] and labels (N, M, H, W) or None -> the same."""
        raise NotImplementedError

    def __call__(self, images: Tensor, samples: Any) -> tuple[Tensor, Any]:
        """Batch of a data preprocessor -> the same."""
        if self.pixels is None:
            raise ValueError(
                f'{type(self).__name__} does not know what the pixels mean; put it into `augments` of a data '
                'preprocessor of DAS, or call use_pixels(mmdas.search.das.Pixels(mean, std))'
            )
        canvas = (images.shape[-2], images.shape[-1])
        maps = {name: stack_maps(name, samples, canvas, type(self).__name__) for name in map_names(list(samples or ()))}
        sizes = content_sizes(samples if maps else None, canvas)
        labels = torch.cat([stacked.float() for stacked in maps.values()], dim=1) if maps else None
        changed, moved = self._on_contents(images, labels, sizes)
        if moved is None:
            return changed, samples
        parts = moved.split([stacked.shape[1] for stacked in maps.values()], dim=1)
        return changed, with_maps(
            samples, {name: part.to(maps[name].dtype) for name, part in zip(maps, parts, strict=True)}
        )

    def _on_contents(
        self, images: Tensor, labels: Tensor | None, sizes: Sequence[Size] | None
    ) -> tuple[Tensor, Tensor | None]:
        if sizes is None:
            return self._on_colours(images, labels)
        images, labels = images.clone(), None if labels is None else labels.clone()
        for size in sorted(set(sizes)):
            places = [place for place, found in enumerate(sizes) if found == size]
            height, width = size
            if not height or not width:
                continue
            part = None if labels is None else labels[places, :, :height, :width]
            changed, moved = self._on_colours(images[places, :, :height, :width], part)
            images[places, :, :height, :width] = changed
            if labels is not None and moved is not None:
                labels[places, :, :height, :width] = moved
        return images, labels

    def _on_colours(self, images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        pixels: Any = self.pixels
        changed, moved = self.augment(pixels.scale(images) + pixels.zero, labels)
        return pixels.unscale(changed - pixels.zero).to(images.dtype), moved
