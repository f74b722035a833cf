"""The rows of the tables: which clip, which fusion, how many frames, how often."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        name: key of the row.
        title: for the page.
        frames: T; 1 is the plain model.
        fusion: word of ``tools/misc/add_das.py``.
        clip: ``'repeat'``, ``'search'``, ``'random'``, or the name of an operation that makes the clip alone.
        cell: options of the searched cell, or of the random policy, beside those of all rows.
        selection, selection_options: type of the selection, and options of it.
        seeds: of the training, and of the search or the random policy before it.
        budget: iterations in units of the task's.
        augment: plain training on randomly warped images, from the ranges of the search.
    """

    name: str
    title: str
    frames: int = 4
    fusion: str = 'gsf'
    clip: str = 'repeat'
    cell: Mapping[str, Any] = field(default_factory=dict)
    selection: str = 'PerturbationSelection'
    selection_options: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = SEEDS
    budget: float = 1
    augment: bool = False

    @property
    def search_key(self) -> str:
        """Name of the search that the row needs; rows with the same clip share it."""
        options = {**self.cell, **self.selection_options}
        cell = '-'.join(f'{key}={value}' for key, value in sorted(options.items()))
        return '_'.join(filter(None, [f'{self.frames}f', cell, self.selection.removesuffix('Selection').lower()]))


def table() -> Iterator[Row]:
    """The rows of a task, those that matter most first."""
    yield Row('plain', 'plain', frames=1, budget=4)
    yield Row('repeat-4f-gsf', 'repeat, GSF', budget=1.5)
    yield Row('das-4f-gsf', 'searched policy, GSF', clip='search', budget=1.5)
    yield Row('random-4f-gsf', '10 random policies, GSF', clip='random', seeds=tuple(range(10)))
    for fusion in ('none', 'tsm', 'gsm'):
        yield Row(f'das-4f-{fusion}', f'searched policy, {FUSION_TITLES[fusion]}', clip='search', fusion=fusion)
    yield Row('rotate5-4f-gsf', 'rotation by 5 degrees a step, GSF', clip='rotate', cell={'strength': 5.0})
    yield Row('das-2f-gsf', 'searched policy, GSF', frames=2, clip='search')
    yield Row('das-8f-gsf', 'searched policy, GSF', frames=8, clip='search')
    yield Row('mirrored-4f-gsf', 'searched policy, mirrored ramp, GSF', clip='search', cell={'ramp': 'mirrored'})
    argmax = {'selection': 'ArgmaxSelection'}
    yield Row('argmax-4f-gsf', 'searched policy, argmax selection, GSF', clip='search', **argmax)
    yield Row('large-4f-gsf', 'searched policy, large space, GSF', clip='search', cell={'space': 'large'})


FUSION_TITLES = {'none': 'no fusion', 'tsm': 'TSM', 'gsm': 'GSM', 'gsf': 'GSF'}
SEGMENTATION = ('plain', 'repeat-4f-gsf', 'das-4f-gsf', 'das-4f-none', 'random-4f-gsf')
ROWS = {
    'cifar10': list(table()),
    'camvid': [replace(row, seeds=row.seeds[:4]) for row in table() if row.name in SEGMENTATION],
}
