"""Images that a model does badly on: the input, the truth and the prediction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .image_grid import new_image_grid
from .prediction_figure import labels_to_colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS = 4  # images of a classification in a row
WRONG, RIGHT, IGNORED = (200, 40, 40), (235, 235, 235), (0, 0, 0)


@dataclass(frozen=True)
class WorstImage:
    """An image with what a model made of it.

    Args:
        image: (H, W, 3), uint8, RGB.
        truth, prediction: label map (h, w), or number of a class.
        score: part of the pixels that are right, or the probability of its class; in [0, 1].
        certainty: probability of the predicted class; None of a segmentation.
    """

    image: np.ndarray
    truth: Any
    prediction: Any
    score: float
    certainty: float | None = None


def draw_worst(
    images: Sequence[WorstImage],
    classes: Sequence[str] | None = None,
    palette: Sequence[Sequence[int]] | None = None,
    ignore_index: int = 255,
) -> 'Figure':
    """Draw images with their truth and prediction.

    Args:
        images: one or more, all of a segmentation or all of a classification.
        classes: names of the classes. Default: their numbers.
        palette: of a segmentation, colour of each class in 0..255. Default: colours of matplotlib.
        ignore_index: label of pixels that do not count, drawn black.
    """
    if images[0].certainty is None:
        return _draw_maps(images, palette, ignore_index)
    return _draw_labels(images, classes)


def _draw_maps(images: Sequence[WorstImage], palette: Sequence[Sequence[int]] | None, ignore_index: int) -> 'Figure':
    aspect = images[0].image.shape[0] / images[0].image.shape[1]
    rows = [f'{100 * one.score:.0f} % right' for one in images]
    figure, grid = new_image_grid(rows, ['input', 'truth', 'prediction', 'wrong pixels'], aspect)
    largest = max(int(labels[labels != ignore_index].max(initial=0)) for one in images for labels in _maps(one))
    colours = palette if palette is not None and len(palette) > largest else default_palette(largest + 1)
    for row, one in zip(grid, images, strict=True):
        row[0].imshow(one.image, interpolation='nearest')
        for axes, labels in zip(row[1:3], _maps(one), strict=True):
            axes.imshow(labels_to_colours(labels, colours, ignore_index), interpolation='nearest')
        row[3].imshow(wrong_pixels(one.truth, one.prediction, ignore_index), interpolation='nearest')
    return figure


def _maps(one: WorstImage) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(one.truth), np.asarray(one.prediction)


def _draw_labels(images: Sequence[WorstImage], classes: Sequence[str] | None) -> 'Figure':
    aspect = images[0].image.shape[0] / images[0].image.shape[1]
    rows, columns = -(-len(images) // ACROSS), min(len(images), ACROSS)
    figure, grid = new_image_grid([''] * rows, [''] * columns, aspect + 0.35)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, one in zip(grid.flat, images, strict=False):
        names = [name_of(number, classes) for number in (one.truth, one.prediction)]
        axes.imshow(one.image, interpolation='nearest')
        text = f'is {names[0]} ({100 * one.score:.0f} %)\nsaid {names[1]} ({100 * (one.certainty or 0):.0f} %)'
        axes.set_title(text, fontsize=7)
    return figure


def name_of(number: int, classes: Sequence[str] | None) -> str:
    """Of a class, or its number, where a network has more classes than the data set names."""
    return str(number) if classes is None or number >= len(classes) else classes[number]


def wrong_pixels(truth: np.ndarray, prediction: np.ndarray, ignore_index: int) -> np.ndarray:
    """(H, W, 3), uint8: red where the prediction is wrong, black where no label counts."""
    found = np.where((truth == prediction)[..., None], np.array(RIGHT, np.uint8), np.array(WRONG, np.uint8))
    return np.where((truth == ignore_index)[..., None], np.array(IGNORED, np.uint8), found)


def default_palette(number: int) -> list[list[int]]:
    """So many colours."""
    from matplotlib import colormaps  # not before a picture is drawn

    return [[round(255 * part) for part in colormaps['tab20'](place % 20)[:3]] for place in range(number)]
