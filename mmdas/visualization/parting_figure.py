"""The frames of a clip, and their feature maps where frames part at once or late."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from .image_grid import new_image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_parting(frames: Sequence[np.ndarray], rows: dict[str, Tensor]) -> 'Figure':
    """Draw the frames of an image, and below them feature maps of each frame.

    Args:
        frames: T images (H, W, 3), uint8.
        rows: name of a row -> maps (T, h, w). All rows have one scale of grey.

    Raises:
        ValueError: if a row has other frames than the clip.
    """
    for name, maps in rows.items():
        if len(maps) != len(frames):
            raise ValueError(f'{name!r} has {len(maps)} maps for {len(frames)} frames; give one for each')
    low = min(float(maps.min()) for maps in rows.values())
    high = max(float(maps.max()) for maps in rows.values())
    aspect = frames[0].shape[0] / frames[0].shape[1]
    columns = [f't = {place - len(frames) // 2:+d}' for place in range(len(frames))]
    figure, grid = new_image_grid(['image', *rows], columns, aspect)
    for axes, frame in zip(grid[0], frames, strict=True):
        axes.imshow(frame, interpolation='nearest')
    for line, maps in zip(grid[1:], rows.values(), strict=True):
        for axes, values in zip(line, maps, strict=True):
            axes.imshow(values.numpy(), vmin=low, vmax=high, cmap='gray', aspect='auto', interpolation='nearest')
    return figure
