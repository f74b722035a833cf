"""What regularisers of features drop, on feature maps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from .image_grid import new_image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_dropped(
    images: Sequence[np.ndarray], attention: Tensor, kept: Tensor, channel: Tensor, blocks: Tensor
) -> 'Figure':
    """Draw one image a row: its attention, what ADL leaves of it, a channel, and what DropBlock leaves of that.

    What is dropped is red.

    Args:
        images: (H, W, 3) each, uint8.
        attention: (B, 1, h, w), mean of the features over the channels.
        kept: (B, 1, h, w), 0 where the drop mask of ADL is.
        channel: (B, 1, h, w), one channel of the features.
        blocks: (B, 1, h, w), 0 where the blocks of that channel are.

    Raises:
        ValueError: if the numbers of images and maps differ.
    """
    maps = {
        'attention': (attention, None),
        'ADL leaves': (attention, kept),
        'a channel': (channel, None),
        'DropBlock leaves': (channel, blocks),
    }
    for name, (values, mask) in maps.items():
        for found in (values, mask):
            if found is not None and len(found) != len(images):
                raise ValueError(f'{len(found)} maps of {name!r} for {len(images)} images; give one for each')
    aspect = images[0].shape[0] / images[0].shape[1]
    figure, grid = new_image_grid([''] * len(images), ['image', *maps], aspect)
    for place, (row, image) in enumerate(zip(grid, images, strict=True)):
        row[0].imshow(image, interpolation='nearest')
        for axes, (values, mask) in zip(row[1:], maps.values(), strict=True):
            span = values[place, 0]
            shown = np.ma.masked_array(span.numpy(), False if mask is None else mask[place, 0].numpy() == 0)
            axes.set_facecolor('tab:red')  # of what is dropped
            axes.imshow(shown, vmin=float(span.min()), vmax=float(span.max()), aspect='auto', interpolation='nearest')
    return figure
