"""What an exported file holds: the frames that it makes of an image, and its prediction beside the model's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .image_grid import new_image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_exported(
    images: np.ndarray, clips: np.ndarray, of_model: np.ndarray, of_file: np.ndarray, names: Sequence[str]
) -> 'Figure':
    """Draw a row for each image: it, its frames, and the label maps of model and file.

    Args:
        images: (B, H, W, 3), uint8.
        clips: (B, T, H, W, 3), uint8.
        of_model, of_file: labels (B, H, W).
        names: of the images, B.
    """
    frames = [f'frame {index}' for index in range(clips.shape[1])]
    columns = ['pixels', *frames, 'model', 'file']
    figure, grid = new_image_grid(names, columns, images.shape[1] / images.shape[2])
    highest = max(int(of_model.max()), int(of_file.max()), 1)
    for axes, image, clip, *labels in zip(grid, images, clips, of_model, of_file, strict=True):
        for plot, picture in zip(axes, [image, *clip], strict=False):
            plot.imshow(picture)
        for plot, label in zip(axes[-2:], labels, strict=True):
            plot.imshow(label, cmap='tab20', vmin=0, vmax=highest, interpolation='nearest')
    return figure
