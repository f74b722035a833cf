"""What KeepAugment looks at, as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from .image_grid import new_image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ('image', 'saliency', 'centres that may be cut', 'cut anywhere', 'cut, but keep')


def draw_keep(
    images: np.ndarray,
    saliency: Tensor,
    positions: Tensor,
    size: tuple[int, int],
    anywhere: Tensor,
    kept: Tensor,
    titles: Sequence[str],
) -> 'Figure':
    """Draw images, one a row, with their saliency and where regions may be cut out of them.

    Args:
        images: (B, H, W, 3), uint8.
        saliency: (B, H, W), >= 0; each image has its own scale.
        positions: (B, Y, X), bool, of the upper left corners that may be taken; drawn at the centres of their regions.
        size: (h, w) of the regions.
        anywhere: (B, H, W), bool, the pixels of a region that was drawn without the saliency.
        kept: (B, H, W), bool, those of one that was drawn by it.
        titles: names of the images.
    """
    count, height, width, _ = images.shape
    figure, grid = new_image_grid(titles, COLUMNS, height / width)
    centred = np.zeros((count, height, width), bool)
    rows, columns = (slice(side // 2, side // 2 + count) for side, count in zip(size, positions.shape[1:], strict=True))
    centred[:, rows, columns] = positions.numpy()
    for row, axes in enumerate(grid):
        grey = images[row].mean(2)
        axes[0].imshow(images[row])
        axes[1].imshow(saliency[row].numpy(), cmap='inferno')
        axes[2].imshow(grey, cmap='gray')
        axes[2].imshow(np.ma.masked_where(~centred[row], centred[row]), cmap='Greens', alpha=0.6, vmin=0, vmax=1)
        for place, mask in ((3, anywhere), (4, kept)):
            axes[place].imshow(
                np.where(mask[row].numpy()[..., None], images[row].mean((0, 1)), images[row] / 1.0) / 255
            )
    return figure
