"""Which class a model takes for which, as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_NUMBERS = 20  # classes up to which the cells hold numbers


def draw_confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> 'Figure':
    """Draw a confusion matrix; a row, what is of a class in truth, sums to 100 %.

    Args:
        counts: K lists of K numbers; row: the label, column: the prediction.
        classes: K names.

    Returns:
        The figure. A class that the labels do not have is a row of zeros.
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    shares = [[100 * count / max(1, sum(row)) for count in row] for row in counts]
    side = min(24.0, 2.5 + 0.45 * len(classes))
    figure = Figure(figsize=(side + 1, side), layout='constrained')
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=100, cmap='Blues')
    places = range(len(classes))
    axes.set_xticks(places, classes, rotation=90)
    axes.set_yticks(places, classes)
    axes.set(xlabel='predicted', ylabel='label')
    if len(classes) <= MAX_NUMBERS:
        for row in places:
            for column in places:
                share = shares[row][column]
                colour = 'white' if share > 50 else 'black'
                axes.text(column, row, f'{share:.0f}', ha='center', va='center', color=colour, fontsize=8)
    figure.colorbar(image, label='% of the label')
    return figure
