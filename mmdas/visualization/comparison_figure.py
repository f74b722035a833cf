"""The rungs of a comparison as a picture."""

from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_comparison(result: Mapping[str, Any]) -> 'Figure':
    """Draw the score of each method in each rung; a method ends where it was left out.

    Args:
        result: ``comparison`` of the notes of ``mmdas compare``. Small points are the seeds of the last rung.
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    figure = Figure(figsize=(7, 3.6), layout='constrained')
    axes = figure.subplots()
    places = range(len(result['rungs']))
    for number, name in enumerate(result['seconds']):
        reached = [(place, result['rungs'][place]['scores'].get(name)) for place in places]
        means = [(place, fmean(scores.values())) for place, scores in reached if scores]
        if not means:
            continue
        colour, last = f'C{number}', means[-1][0]
        axes.plot(*zip(*means, strict=True), 'o-', color=colour, label=name)
        seeds = list(result['rungs'][last]['scores'][name].values())
        axes.plot([last] * len(seeds), seeds, '.', color=colour, alpha=0.5)
    labels = [f'{rung["length"]} {result["unit"]}\n{rung["seeds"]} seed(s)' for rung in result['rungs']]
    axes.set_xticks(list(places), labels)
    axes.set(ylabel=f'{result["metric"]}, held-out part', title=f'the best: {result["winner"]}')
    axes.margins(x=0.1)
    axes.legend(fontsize=8)
    return figure
