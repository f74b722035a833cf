"""Runs that differ in their seed alone, as one row of a comparison."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from .run_record import RunRecord


@dataclass
class Group:
    """Runs of one kind.

    Args:
        name: for the reader.
        runs: one or more.
    """

    name: str
    runs: list[RunRecord]

    @property
    def seeds(self) -> list[str]:
        """Seeds of the runs that say one."""
        return [run.seed for run in self.runs if run.seed]

    def scores(self, metric: str) -> list[float]:
        """A metric of the runs that have it."""
        return [run.scores[metric] for run in self.runs if metric in run.scores]

    @property
    def seconds(self) -> float | None:
        """Mean of the trainings."""
        known = [run.seconds for run in self.runs if run.seconds is not None]
        return fmean(known) if known else None

    @property
    def memory(self) -> float | None:
        """Largest peak of the runs."""
        known = [run.memory for run in self.runs if run.memory is not None]
        return max(known) if known else None

    @property
    def classes(self) -> dict[str, float]:
        """Mean score of each class over the runs that have it."""
        names = dict.fromkeys(name for run in self.runs for name in run.classes)
        return {name: fmean(run.classes[name] for run in self.runs if name in run.classes) for name in names}


def groups_of(runs: Sequence[RunRecord]) -> list[Group]:
    """Runs whose configs differ in seed and folder alone, together; a run without a config stays alone."""
    kinds: dict[str, list[RunRecord]] = {}
    for run in runs:
        kinds.setdefault(run.kind or str(run.folder), []).append(run)
    names = [group_name(found) for found in kinds.values()]
    paths = [str(found[0].folder) for found in kinds.values()]
    return [
        Group(name if names.count(name) == 1 else path, found)
        for name, path, found in zip(names, paths, kinds.values(), strict=True)
    ]


def group_name(runs: Sequence[RunRecord]) -> str:
    """What the folders of runs have in common at their start."""
    names = [run.folder.resolve().name for run in runs]
    if len(names) == 1:
        return names[0]
    return os.path.commonprefix(names).rstrip('_-.').removesuffix('seed').rstrip('_-.') or names[0]
