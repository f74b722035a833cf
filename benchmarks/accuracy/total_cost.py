"""Score over what a network that is plain in a test costs in training, with its teachers and all searches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt

from mmdas.visualization.report.charts import front

from .means import mean, number, same_compute, shared_iterations, spread
from .rows import Row
from .tasks import Task

# Beginning of a row's name -> colour and word of its kind.
KINDS = {
    'augment': ('tab:blue', 'augmented'),
    'method': ('tab:green', 'mixed, erased, regularised'),
    'distil': ('tab:red', 'taught, and controls'),
}
HEADER = ('row', 'score', 'seeds', 'train s', 'teachers s', 'search s', 'in all s', 'plain in as many s')


@dataclass(frozen=True)
class Cost:
    """What a row reaches and costs, means over its seeds.

    Args:
        row: the row.
        scores: one a seed.
        train: seconds of its own training.
        teachers: seconds of the trainings of its teachers; None without any.
        search: seconds of its searches and of those of its teachers; None without any.
    """

    row: Row
    scores: tuple[float, ...]
    train: float
    teachers: float | None = None
    search: float | None = None

    @property
    def score(self) -> float:
        """Mean over the seeds."""
        return sum(self.scores) / len(self.scores)

    @property
    def total(self) -> float:
        """Seconds of all trainings and searches."""
        return self.train + (self.teachers or 0.0) + (self.search or 0.0)


def costs(rows: Sequence[Row], records: Sequence[dict]) -> list[Cost]:
    """Rows whose network is plain in a test, cheapest first.

    Args:
        rows: of the task, with those of the teachers.
        records: of the task.
    """
    light = [row for row in rows if row.frames == 1 and row.name.startswith(tuple(KINDS))]
    found = [cost_of(row, rows, records) for row in light if any(record['row'] == row.name for record in records)]
    return sorted(found, key=lambda cost: cost.total)


def cost_of(row: Row, rows: Sequence[Row], records: Sequence[dict]) -> Cost:
    """What a row with records reaches and costs."""
    own = [record for record in records if record['row'] == row.name]
    teachers = [record['teacher']['train_seconds'] for record in own if 'teacher' in record]
    taught_by = [other for other in rows if other.name == row.teacher]
    searches = [search_seconds(other, rows, records) for other in (row, *taught_by)]
    present = [seconds for seconds in searches if seconds is not None]
    return Cost(
        row,
        tuple(record['score'] for record in own),
        mean([record['curve'][-1]['train_seconds'] for record in own]) or 0.0,
        mean(teachers),
        sum(present) if present else None,
    )


def search_seconds(row: Row, rows: Sequence[Row], records: Sequence[dict]) -> float | None:
    """Mean seconds of a row's search; of a clip whose row has no record of them, that of the rows that share it."""
    own = mean([record['search_seconds'] for record in records if record['row'] == row.name])
    if own is not None or row.clip != 'search':
        return own
    shared = {other.name for other in rows if other.clip == 'search' and other.search_key == row.search_key}
    return mean([record['search_seconds'] for record in records if record['row'] in shared])


def on_front(found: Sequence[Cost]) -> list[Cost]:
    """Those than which none is both as cheap and as good, cheapest first."""
    best = front({place: (cost.total, cost.score) for place, cost in enumerate(found)})
    return [found[place] for place in best]


def cost_table(found: Sequence[Cost], plain: Sequence[dict]) -> str:
    """Markdown table, cheapest first; the front is bold.

    Args:
        found: of :func:`costs`.
        plain: records of the plain row, whose curve is the control.
    """
    best = on_front(found)
    lines = [f'| {" | ".join(HEADER)} |', '| --- ' * len(HEADER) + '|']
    for cost in found:
        bold = '**' if cost in best else ''
        cells = [
            f'{bold}{cost.row.title}{bold}',
            f'{bold}{spread(cost.scores)}{bold}',
            len(cost.scores),
            *(number(seconds, 0) for seconds in (cost.train, cost.teachers, cost.search, cost.total)),
            same_compute(plain, cost.total) if plain else '',
        ]
        lines.append(f'| {" | ".join(map(str, cells))} |')
    return '\n'.join(lines)


def draw_costs(found: Sequence[Cost], plain: Sequence[dict], task: Task, path: Path) -> None:
    """Score over the seconds of all trainings and searches, with the front and the curve of plain."""
    figure, axis = plt.subplots(figsize=(8, 4.8), layout='constrained')
    if plain:
        curves = [{point['iterations']: point for point in record['curve']} for record in plain]
        points = [[curve[key] for curve in curves] for key in shared_iterations(plain)]
        seconds, scores = (
            [mean([point[name] for point in group]) for group in points] for name in ('train_seconds', 'score')
        )
        axis.plot(seconds, scores, color='gray', marker='.', label=f'plain, longer and longer ({len(plain)})')
    for kind, (colour, word) in KINDS.items():
        own = [cost for cost in found if cost.row.name.startswith(kind)]
        if own:
            axis.scatter([cost.total for cost in own], [cost.score for cost in own], color=colour, s=18, label=word)
    best = on_front(found)
    steps = {'where': 'post', 'color': 'black', 'linewidth': 0.8, 'linestyle': '--'}
    axis.step([cost.total for cost in best], [cost.score for cost in best], label='front', **steps)
    for place, cost in enumerate(best, 1):
        label = f'{place}: {cost.row.title} ({len(cost.scores)})'
        axis.annotate(str(place), (cost.total, cost.score), (3, 3), textcoords='offset points', fontsize=8)
        axis.plot([], [], ' ', label=label)
    axis.set(xscale='log', xlabel=f'{task.device} seconds of all trainings and searches', ylabel=task.metric)
    axis.set_ylim(bottom=min(cost.score for cost in found) - 3)
    axis.set_xlim(left=min(cost.total for cost in found) / 2)
    axis.grid(alpha=0.3)
    figure.legend(loc='outside lower center', fontsize=7, ncols=2)
    figure.savefig(path, metadata={'Date': None})
    plt.close(figure)
