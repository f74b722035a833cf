"""The gates of the fusion modules over the frames of a clip."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .clip_figure import MARK, frame_names
from .image_grid import new_image_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS, OPACITY = 'inferno', 0.7
LINE = 0.18  # inches of the caption


def draw_gates(
    frames: np.ndarray, sites: Mapping[str, tuple[np.ndarray, tuple[float, float]]], caption: str = ''
) -> 'Figure':
    """Draw the frames of a clip, and below them each place of the network with the mean of ``|g|`` over each frame.

    Args:
        frames: (T, H, W, 3), uint8.
        sites: name of the place -> strengths of its gates (T, h, w), at least 0, and the (H, W) in pixels that these
            cells stand for. All have one scale of colours, from 0 to the strongest cell; the number in a picture is the
            mean over its frame.
        caption: written below, before what the colours mean. Default: nothing.

    Raises:
        ValueError: if a place has other frames than the clip.
    """
    for name, (strength, _) in sites.items():
        if len(strength) != len(frames):
            raise ValueError(f'{name!r} has gates of {len(strength)} frames, the clip has {len(frames)}')
    highest = max(float(strength.max()) for strength, _ in sites.values())
    height, width = frames.shape[1:3]
    figure, grid = new_image_grid(['frame', *sites], frame_names(len(frames)), height / width, LINE)
    for axes, frame in zip(grid[0], frames, strict=True):
        axes.imshow(frame, interpolation='nearest')
    for row, (strength, shown) in zip(grid[1:], sites.values(), strict=True):
        row[0].yaxis.label.set_size(6)  # names are long
        for axes, frame, values in zip(row, frames, strength, strict=True):
            draw_map(axes, frame, values, shown, highest)
    for axes in grid[:, len(frames) // 2]:
        axes.spines[:].set(visible=True, color=MARK, linewidth=2)
    scale = f'mean |g| of both gates: black 0, brightest {highest:.2g}'
    figure.text(0.01, 0.01, '; '.join(filter(None, [caption, scale])), fontsize=7, va='bottom')
    return figure


def draw_map(axes: 'Axes', frame: np.ndarray, values: np.ndarray, shown: tuple[float, float], highest: float) -> None:
    """A map of cells over a grey frame, with its mean."""
    height, width = frame.shape[:2]
    axes.imshow(frame.mean(2), cmap='gray', vmin=0, vmax=255)
    axes.imshow(
        values,
        cmap=COLOURS,
        vmin=0,
        vmax=max(highest, 1e-12),
        alpha=OPACITY,
        extent=(-0.5, shown[1] - 0.5, shown[0] - 0.5, -0.5),
        interpolation='nearest',
    )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    dark = {'facecolor': 'black', 'alpha': 0.5, 'linewidth': 0, 'pad': 1}
    axes.text(0.03, 0.05, f'{values.mean():.2f}', transform=axes.transAxes, fontsize=7, color='white', bbox=dark)
