"""Hide-and-Seek."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdas.registry import AUGMENTS
from mmdas.search.augmentation.apply import IGNORE_INDEX
from mmdas.search.das.operation import Size

from .checks import are, check_share, is_number
from .content import content_sizes
from .label_maps import map_names, stack_maps, with_maps

SHARES = (0.0, 16 / 224, 32 / 224, 44 / 224, 56 / 224)  # the paper's cells, in pixels of 224


@AUGMENTS.register_module()
class HideAndSeek:
    """Hide cells of a grid, so that a model looks at more than the most telling part (Singh and Lee, ICCV 2017).

    The side of the cells is drawn for each image; 0 leaves the image whole. Each cell is hidden for itself. A hidden
    pixel gets the mean of the training, which is 0 in normalised images. Labels stay. Padding is neither hidden nor
    changed. Both tasks take it.

    Args:
        probability: that a cell is hidden, in [0, 1]. Default: 0.5.
        shares: sides of the cells, one of which is drawn, as shares of the shorter side of the image, in [0, 1]; at
            least one pixel. Default: the paper's 0, 16, 32, 44 and 56 pixels of 224.
        sizes: the same in pixels, whatever the image, in place of ``shares``. Default: none.
        fill: normalised value of hidden pixels, one for all channels or one for each. Default: 0.
        ignore_hidden: whether hidden pixels of segmentation get the label ``ignore_index``. Default: False.
        ignore_index: label that does not count. Default: 255.

    Shape:
        images (B, C, H, W) and samples -> the same, new ones where they change.

    Raises:
        ValueError: for settings outside their range, or in a call for a ``fill`` of another number of channels.
    """

    def __init__(
        self,
        probability: float = 0.5,
        shares: Sequence[float] = SHARES,
        sizes: Sequence[int] | None = None,
        fill: float | Sequence[float] = 0.0,
        ignore_hidden: bool = False,
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        check_share(probability, 'probability of HideAndSeek')
        if not are(shares, lambda share: is_number(share) and 0 <= share <= 1):
            raise ValueError(f'shares of HideAndSeek must be a list of numbers in [0, 1], at least one, got {shares!r}')
        if sizes is not None and not are(sizes, lambda size: isinstance(size, int) and size >= 0):
            raise ValueError(f'sizes of HideAndSeek must be a list of whole pixels, at least one, got {sizes!r}')
        if not is_number(fill) and not are(fill, is_number):
            raise ValueError(f'fill of HideAndSeek must be a number, or one for each channel, got {fill!r}')
        self.probability, self.shares, self.sizes = probability, tuple(shares), sizes
        self.fill = torch.tensor(fill, dtype=torch.float32).view(-1, 1, 1)
        if ignore_hidden:
            self.ignore_index = ignore_index  # which AugmentHook compares with the head's
        self.ignore_hidden = ignore_hidden

    def __call__(self, images: Tensor, samples: Any) -> tuple[Tensor, Any]:
        """Images with hidden cells."""
        channels, canvas = images.shape[1], (images.shape[-2], images.shape[-1])
        if self.fill.shape[0] not in (1, channels):
            raise ValueError(f'fill of HideAndSeek has {self.fill.shape[0]} numbers, the images {channels} channels')
        found = list(samples or ())
        names = map_names(found)
        sizes = (content_sizes(found, canvas) if names else None) or [canvas] * images.shape[0]
        hidden = torch.stack([self.draw(size, canvas) for size in sizes])[:, None].to(images.device)
        images = torch.where(hidden, self.fill.to(images), images)
        if not (self.ignore_hidden and names):
            return images, samples
        maps = {name: stack_maps(name, found, canvas, 'HideAndSeek') for name in names}
        return images, with_maps(
            found, {name: stacked.masked_fill(hidden, self.ignore_index) for name, stacked in maps.items()}
        )

    def draw(self, size: Size, canvas: Size) -> Tensor:
        """Which pixels (H, W) of a canvas are hidden, by the random numbers of PyTorch on the CPU.

        Args:
            size: of the content, in the upper left corner.
            canvas: (H, W).
        """
        hidden = torch.zeros(canvas, dtype=torch.bool)
        side = self._draw_side(min(size))
        if side:
            cells = torch.rand(-(-size[0] // side), -(-size[1] // side)) < self.probability
            hidden[: size[0], : size[1]] = cells.repeat_interleave(side, 0).repeat_interleave(side, 1)[
                : size[0], : size[1]
            ]
        return hidden

    def _draw_side(self, shorter: int) -> int:
        if self.sizes is not None:
            return self.sizes[int(torch.randint(len(self.sizes), ()))]
        share = self.shares[int(torch.randint(len(self.shares), ()))]
        return max(round(share * shorter), 1) if share else 0
