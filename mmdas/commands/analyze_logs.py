"""The curves of trainings and searches, from the logs in their work directories, as a picture."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser, Namespace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from .parser import nearest, told_in_one_line
from .places import PICTURES, check_file

if TYPE_CHECKING:
    from mmdas.visualization.report import RunRecord

Points = list[tuple[float, float]]
EXAMPLE = 'mmdas analyze logs work_dirs/my_config work_dirs/das-4f-gsf_my_config --keys loss mIoU'


def add_arguments(parser: ArgumentParser, verb: str) -> None:
    """Add the options."""
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='of a training or a search')
    parser.add_argument('--keys', nargs='+', metavar='NAME', help='of what was logged (default: loss and validation)')
    parser.add_argument('--out', metavar='FILE.png', help='the picture (default: curves.png in the first WORK_DIR)')


def run(args: Namespace) -> None:
    """Draw the curves, and print where each ends.

    Raises:
        CommandError: if there is no run in a folder, or none has a curve of a name.
    """
    from mmdas.visualization.curve_figure import draw_curves
    from mmdas.visualization.report import read_run

    with told_in_one_line():
        out = Path(args.out or Path(args.work_dirs[0], 'curves.png'))
        runs = {name: read_run(folder) for name, folder in name_folders(args.work_dirs).items()}
        curves = {key: curves_of(key, runs) for key in args.keys or default_keys(runs)}
        check_file(out, PICTURES)
        out.parent.mkdir(parents=True, exist_ok=True)
        draw_curves(curves, {key: unit_of(key, runs) for key in curves}).savefig(out, dpi=110)
    for key, of_runs in curves.items():
        for name, points in of_runs.items():
            print(f'{key} of {name}: {points[-1][1]:.5g} at the end, {summary(points)}')
    print(f'{len(curves)} curves: {out}')
    print(f'next: {shlex.join(["mmdas", "report", *args.work_dirs])}')


def name_folders(folders: list[str]) -> dict[str, str]:
    """A name for each folder, its last part where no other has it -> the folder.

    Raises:
        ValueError: for a folder that is named twice.
    """
    named = [os.path.abspath(folder) for folder in folders]
    twice = next((folder for folder in named if named.count(folder) > 1), None)
    if twice is not None:
        raise ValueError(f'{twice} is named twice; leave one out')
    last = [Path(folder).absolute().name for folder in folders]
    return {
        name if last.count(name) == 1 else str(Path(folder)): folder for name, folder in zip(last, folders, strict=True)
    }


def default_keys(runs: dict[str, RunRecord]) -> list[str]:
    """The loss, and what was validated.

    Raises:
        ValueError: if there is nothing of it.
    """
    found = dict.fromkeys(key for run in runs.values() for key in run.validation)
    keys = ['loss', *found] if any('loss' in run.training for run in runs.values()) else list(found)
    if not keys:
        folders = ', '.join(str(run.folder) for run in runs.values())
        raise ValueError(f'{folders}: no loss and no validation was logged; name what was by --keys, or run longer')
    return keys


def curves_of(key: str, runs: dict[str, RunRecord]) -> dict[str, Points]:
    """The curve of a name in each run that has it; a validation before a training.

    Raises:
        ValueError: if no run has one.
    """
    found = {name: run.validation.get(key) or run.training.get(key) for name, run in runs.items()}
    if not any(found.values()):
        known = sorted({name for run in runs.values() for name in (*run.training, *run.validation)})
        raise ValueError(f'no run has logged {key}{nearest(key, known)}; logged are {", ".join(known)}')
    return {name: points for name, points in found.items() if points}


def unit_of(key: str, runs: dict[str, RunRecord]) -> str:
    """What a curve goes over: validations go over epochs where the training counts them."""
    return ' or '.join(dict.fromkeys(run.unit for run in runs.values() if key in run.validation)) or 'iteration'


def summary(points: Points) -> str:
    """Lowest and highest finite value of a curve, with their places."""
    finite = [point for point in points if isfinite(point[1])]
    if not finite:
        return 'never finite'
    low, high = min(finite, key=lambda point: point[1]), max(finite, key=lambda point: point[1])
    return f'lowest {low[1]:.5g} at {low[0]:g}, highest {high[1]:.5g} at {high[0]:g}'
