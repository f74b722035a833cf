"""Maps over images: heat, boxes, and a grid of pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .image_grid import new_image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BRIGHTEST = 0.99  # quantile of a map that is shown as the most
BOX_COLOUR = (255, 255, 0)


def to_grey(scores: np.ndarray) -> np.ndarray:
    """A map (H, W) as grey, uint8: from its least value, black, to its 99 % quantile, white; a constant one is black.

    A few pixels of a saliency are far above all others, which would be black beside them.
    """
    low, high = float(scores.min()), float(np.quantile(scores, BRIGHTEST))
    if high <= low:  # fewer than one pixel of a hundred stands out
        high = float(scores.max())
    if high <= low:
        return np.zeros(scores.shape, np.uint8)
    return (255 * ((scores - low) / (high - low)).clip(0, 1)).round().astype(np.uint8)


def overlay(picture: np.ndarray, scores: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """A picture with a map over it, from blue to red.

    Args:
        picture: (H, W, 3), uint8, RGB.
        scores: (H, W).
        strength: of the map's colours, from 0 to 1.

    Returns:
        (H, W, 3), uint8, RGB.

    Raises:
        ValueError: if the two do not fit.
    """
    if picture.shape[:2] != scores.shape:
        raise ValueError(f'the picture is {picture.shape[:2]}, but the map {scores.shape}')
    heat = cv2.applyColorMap(to_grey(scores), cv2.COLORMAP_JET)[..., ::-1]
    return ((1 - strength) * picture + strength * heat).round().astype(np.uint8)


def draw_box(
    picture: np.ndarray, box: Sequence[float], colour: Sequence[int] = BOX_COLOUR, width: int = 1
) -> np.ndarray:
    """A picture with a box; its lines lie on the outermost pixels of the box.

    Args:
        picture: (H, W, 3), uint8.
        box: left, top, right, bottom, the last two excluded.
        colour: of the lines.
        width: of them, in pixels.
    """
    left, top, right, bottom = (round(value) for value in box)
    drawn = np.ascontiguousarray(picture).copy()
    cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), tuple(int(value) for value in colour), width)
    return drawn


def draw_pictures(columns: Mapping[str, Sequence[np.ndarray]], rows: Sequence[str] | None = None) -> 'Figure':
    """Draw pictures, an image a row and a kind of picture a column.

    Args:
        columns: name -> pictures, (H, W, 3) or (H, W) each, uint8; as many for every name.
        rows: names of the images. Default: none.

    Raises:
        ValueError: for columns of other lengths.
    """
    counts = {name: len(pictures) for name, pictures in columns.items()}
    rows = [''] * next(iter(counts.values())) if rows is None else rows
    if set(counts.values()) != {len(rows)}:
        raise ValueError(f'{len(rows)} rows, but pictures in the columns: {counts}')
    first = next(iter(columns.values()))[0]
    figure, grid = new_image_grid(rows, list(columns), first.shape[0] / first.shape[1])
    for axes_of_row, *pictures in zip(grid, *columns.values(), strict=True):
        for axes, picture in zip(axes_of_row, pictures, strict=True):
            axes.imshow(picture, interpolation='nearest', cmap='gray', vmin=0, vmax=255)
    return figure
