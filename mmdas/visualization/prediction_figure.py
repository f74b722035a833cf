"""Input, truth and predictions of segmentation models side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .image_grid import WIDTH, new_image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEGEND_ROW = 0.25  # inches
LEGEND_ENTRY = 1.0


def draw_predictions(
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Mapping[str, Sequence[np.ndarray]],
    palette: Sequence[Sequence[int]],
    ignore_index: int = 255,
    classes: Sequence[str] | None = None,
) -> 'Figure':
    """Draw one image a row: the input, the truth and what each model predicts.

    Args:
        images: (H, W, 3) each, uint8.
        truths: label maps, (H, W) each.
        predictions: name of the model -> its label maps, one for each image.
        palette: colour of each class, red, green and blue in 0..255, as in the metainfo of a data set.
        ignore_index: label without a class, drawn black.
        classes: names of the classes; those that occur are named below the images. None: no legend.

    Raises:
        ValueError: if the numbers of images, truths and predictions differ, or a label has no colour.
    """
    from matplotlib.patches import Patch  # not before a picture is drawn

    columns = {'truth': truths, **predictions}
    for name, labels in columns.items():
        if len(labels) != len(images):
            raise ValueError(f'{len(labels)} label maps of {name!r} for {len(images)} images; give one for each')
    shown = [] if classes is None else _occurring_classes(list(columns.values()), ignore_index)
    entries = int((2 + len(predictions)) * WIDTH / LEGEND_ENTRY)  # in a row of the legend
    legend_height = -(-len(shown) // entries) * LEGEND_ROW
    aspect = images[0].shape[0] / images[0].shape[1]
    figure, grid = new_image_grid([''] * len(images), ['input', *columns], aspect, legend_height)
    for row, image, *maps in zip(grid, images, *columns.values(), strict=True):
        row[0].imshow(image, interpolation='nearest')
        for axes, labels in zip(row[1:], maps, strict=True):
            axes.imshow(labels_to_colours(labels, palette, ignore_index), interpolation='nearest')
    if classes is not None and shown:
        patches = [
            Patch(facecolor=tuple(np.divide(palette[k], 255)), edgecolor='grey', label=classes[k]) for k in shown
        ]
        figure.legend(handles=patches, loc='lower center', ncols=entries, fontsize=8, frameon=False, borderpad=0.1)
    return figure


def labels_to_colours(labels: np.ndarray, palette: Sequence[Sequence[int]], ignore_index: int = 255) -> np.ndarray:
    """Label map (H, W) -> its picture (H, W, 3), uint8; ``ignore_index`` becomes black.

    Raises:
        ValueError: for a label that is neither in the palette nor ``ignore_index``.
    """
    labels = np.asarray(labels)
    ignored = labels == ignore_index
    unknown = set(np.unique(labels[~ignored]).tolist()) - set(range(len(palette)))
    if unknown:
        raise ValueError(
            f'labels {sorted(unknown)} have no colour in a palette of {len(palette)} classes and are not '
            f'ignore_index={ignore_index}'
        )
    colours = np.asarray(palette, dtype=np.uint8)[np.where(ignored, 0, labels)]
    return np.where(ignored[..., None], np.uint8(0), colours)


def _occurring_classes(columns: Sequence[Sequence[np.ndarray]], ignore_index: int) -> list[int]:
    labels = {label for maps in columns for labels in maps for label in np.unique(labels).tolist()}
    return sorted(labels - {ignore_index})
