"""Receptive fields as a picture: the measured maps with their theoretical borders, and their radial mass."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 2.7  # inches
THEORY, FRAME = 'white', 'tab:cyan'
Curve = Sequence[tuple[float, float]]


def draw_fields(
    fields: Mapping[str, np.ndarray], reaches: Mapping[str, np.ndarray], curves: Mapping[str, Curve]
) -> 'Figure':
    """Draw one map a panel, and the curves in a last one.

    Args:
        fields: name -> (H, W), >= 0; drawn as the square root, each by its own maximum.
        reaches: name -> (T, H, W), bool: the theoretical field within each frame, thin lines; their union is the thick
            one. Names without an entry have no lines.
        curves: name -> (radius in pixels, share of the mass).
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    figure = Figure(figsize=(PANEL * (len(fields) + 1.2), PANEL + 0.3), layout='constrained')
    panels = figure.subplots(1, len(fields) + 1)
    for axes, (name, field) in zip(panels, fields.items(), strict=False):
        axes.imshow(np.sqrt(field / max(float(field.max()), 1e-30)), cmap='inferno', vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=9)
        _outline(axes, reaches.get(name))
    for name, curve in curves.items():
        panels[-1].plot(*zip(*curve, strict=True), label=name)
    panels[-1].set(xlabel='radius, pixels', ylim=(0, 1), xlim=(0, None))
    panels[-1].set_title('share of the mass within the radius', fontsize=9)
    panels[-1].legend(fontsize=8)
    return figure


def _outline(axes: 'Axes', reaches: np.ndarray | None) -> None:
    """The borders of what frames show, and of their union, where they lie within the image."""
    if reaches is None:
        return
    frames = [(frame, FRAME, 0.7) for frame in reaches] if len(reaches) > 1 else []
    for mask, colour, width in (*frames, (reaches.any(0), THEORY, 1.6)):
        if mask.any() and not mask.all():
            axes.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=[width])
