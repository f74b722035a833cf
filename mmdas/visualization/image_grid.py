"""A grid of images with names of its rows and columns, the paper that the other figures are drawn on."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 1.5  # inches of an image
GAP = 0.08
MARGIN = 0.35  # inches for the names


def new_image_grid(
    rows: Sequence[str], columns: Sequence[str], aspect: float, bottom: float = 0.0
) -> tuple['Figure', np.ndarray]:
    """A figure with one plot without ticks for each image.

    Args:
        rows: names of the rows, written upwards at the left.
        columns: names of the columns, written above.
        aspect: height of an image by its width.
        bottom: inches left free below the images.

    Returns:
        The figure and its plots, (rows, columns).
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    image_height = WIDTH * aspect
    width = MARGIN + len(columns) * (WIDTH + GAP)
    height = MARGIN + len(rows) * (image_height + GAP) + bottom
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(
        len(rows),
        len(columns),
        squeeze=False,
        gridspec_kw={
            'left': MARGIN / width,
            'right': 1 - GAP / width,
            'bottom': (bottom + GAP) / height,
            'top': 1 - MARGIN / height,
            'wspace': GAP / WIDTH,
            'hspace': GAP / image_height,
        },
    )
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, name in zip(grid[0], columns, strict=True):
        axes.set_title(name, fontsize=9)
    for axes, name in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(name, fontsize=9)
    return figure, grid


def save_small(figure: 'Figure', path: Path, dpi: int = 72, colours: int = 96) -> None:
    """Write a figure in few colours, so that the file is small; its folder is made.

    Args:
        figure: to write.
        path: of the PNG.
        dpi: pixels an inch. Default: 72.
        colours: of the file's palette, at most 256. Default: 96.
    """
    from PIL import Image  # not before a picture is drawn

    stream = BytesIO()
    figure.savefig(stream, dpi=dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(stream).convert('RGB').quantize(colours).save(path, optimize=True)
