"""The curves of trainings as a picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Sequence[tuple[float, float]]  # (iteration or epoch, value)


def draw_curves(curves: Mapping[str, Mapping[str, Curve]], units: Mapping[str, str] | None = None) -> 'Figure':
    """Draw curves, a field for each name, with a line for each run.

    Args:
        curves: name, such as ``'loss'`` -> run -> its points. At least one name.
        units: name -> what its lower axis counts. Default: ``'iteration'``.
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    columns = min(len(curves), 3)
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4 * columns, 2.9 * rows), layout='constrained')
    fields = figure.subplots(rows, columns, squeeze=False).flatten()
    runs = list(dict.fromkeys(run for of_runs in curves.values() for run in of_runs))
    for axes, (name, of_runs) in zip(fields, curves.items(), strict=False):
        for run, points in of_runs.items():
            style = '.-' if len(points) < 20 else '-'
            axes.plot(*zip(*points, strict=True), style, color=f'C{runs.index(run) % 10}', label=run)
        axes.set(title=name, xlabel=(units or {}).get(name, 'iteration'))
        axes.grid(alpha=0.3)
    for axes in fields[len(curves) :]:
        axes.set_axis_off()
    if len(runs) > 1:
        handles = {
            label: line for axes in fields for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc='outside lower center', fontsize=8)
    return figure
