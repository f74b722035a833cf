"""What a work directory of MMEngine tells of its run: scores, curves, cost, config, policies, scores of classes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from .pictures import Picture, pictures_in

Curve = list[tuple[float, float]]  # (iteration or epoch, value)

NOT_CURVES = {'iter', 'epoch', 'step', 'time', 'data_time', 'memory'}
OF_A_SEARCH = 'policy/'  # before the names of what PolicyHook writes
OF_THE_RUN = ('time', 'memory')  # of an iteration in seconds, of the GPU in MB
POLICIES = ('policy.json', 'augmentation*.json')  # of frames and of batches
RECEPTIVE_FIELD = 'receptive_field.json'
TABLE_ROW = re.compile(r'^\|(.+)\|\s*$')
SEED = re.compile(r'\bseed=(\d+)')
# What differs between two seeds of one training.
OF_A_RUN = re.compile(r'^(work_dir|resume|load_from|experiment_name) = .*\n|\b(seed|data_seed)=\d+', re.MULTILINE)


class ReportError(ValueError):
    """A folder that holds no run."""


@dataclass
class RunRecord:
    """A training, a search or a test.

    Args:
        folder: of the run.
        config: text of its config; empty where the folder keeps none.
        training: name of what was logged in training -> its curve over iterations.
        validation: the same of validations, over iterations, or epochs where the training counts them.
        search: name of what a search reports of its policy -> its curve over iterations.
        tests: metric -> value, of the newest test in this folder.
        classes: class -> its score in the newest table of the log, with the name of that score.
        class_metric: name of these scores.
        policies: file name -> content.
        receptive_field: what ``mmdas analyze rf --out-dir`` of this folder found; empty without.
        pictures: that searches, hooks and analyses have left in the folder.
        seconds: of the training, from the mean time of its logged iterations; None without any.
        memory: peak of the GPU in MB; None where none was logged.
    """

    folder: Path
    config: str = ''
    training: dict[str, Curve] = field(default_factory=dict)
    validation: dict[str, Curve] = field(default_factory=dict)
    search: dict[str, Curve] = field(default_factory=dict)
    tests: dict[str, float] = field(default_factory=dict)
    classes: dict[str, float] = field(default_factory=dict)
    class_metric: str = ''
    policies: dict[str, Any] = field(default_factory=dict)
    receptive_field: dict[str, Any] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    seconds: float | None = None
    memory: float | None = None

    @property
    def seed(self) -> str:
        """The seed in the config; empty where it says none."""
        found = re.search(r'^randomness = dict\((.*?)\)', self.config, re.MULTILINE | re.DOTALL)
        seed = SEED.search(found[1]) if found else None
        return seed[1] if seed else ''

    @property
    def kind(self) -> str:
        """The config without what differs between two seeds: equal for runs of one kind."""
        return OF_A_RUN.sub('', self.config)

    @property
    def unit(self) -> str:
        """What validations are counted in."""
        return 'epoch' if 'max_epochs=' in self.config else 'iteration'

    @property
    def scores(self) -> dict[str, float]:
        """Metric -> value of the test in this folder, else of the last validation."""
        return self.tests or {name: curve[-1][1] for name, curve in self.validation.items()}


def read_run(folder: str | Path) -> RunRecord:
    """Read what a run has left in its folder.

    Args:
        folder: work directory of a training, search or test of MMEngine.

    Raises:
        ReportError: if there is no run in it, or a file of it cannot be read.
    """
    run = RunRecord(Path(folder))
    logs = sorted(run.folder.glob('*/vis_data/scalars.json'))
    tests = [path for path in sorted(run.folder.glob('*/*.json')) if path.stem == path.parent.name]
    if not logs and not tests:
        raise ReportError(f'{folder} holds no log of a run (*/vis_data/scalars.json); give the work dir of a training')
    configs = sorted(path for path in run.folder.glob('*.py') if not path.name.startswith('teacher'))
    run.config = configs[0].read_text(encoding='utf-8') if configs else ''
    for path in logs:
        add_records(run, read_records(path))
    if not (tests or run.training or run.validation or run.search):
        raise ReportError(f'{logs[-1]} holds no entry: the run ended before its first; leave it out, or run it again')
    if tests:
        run.tests = {name: value for name, value in numbers(read_json(tests[-1])) if is_metric(name)}
    for pattern in POLICIES:
        for path in sorted(run.folder.glob(pattern)):
            run.policies[path.name] = read_json(path)
    fields = run.folder / RECEPTIVE_FIELD
    if fields.is_file():
        run.receptive_field = read_json(fields)
    run.pictures = pictures_in(run.folder)
    for log in sorted(run.folder.glob('*/*.log')):
        run.class_metric, run.classes = read_classes(log) or (run.class_metric, run.classes)
    return run


def read_json(path: Path) -> dict[str, Any]:
    """What a file of a run holds.

    Raises:
        ReportError: naming a file that is no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ReportError(f'{path} cannot be read: {error}; mend it, or move it out of the folder') from error
    if not isinstance(found, dict):
        raise ReportError(f'{path} holds no JSON object but {type(found).__name__}; move it out of the folder')
    return found


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of a log of MMEngine; a last line that a killed run left unfinished is left out."""
    records = []
    for line in path.read_text(encoding='utf-8').splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def add_records(run: RunRecord, records: list[dict[str, Any]]) -> None:
    """Add the lines of a log; a resumed training takes the place of what came after its checkpoint."""
    trained = [record for record in records if 'iter' in record]
    rest = [record for record in records if 'iter' not in record and record.get('step', 0) > 0]
    searched = [of_search(record) for record in rest if any(name.startswith(OF_A_SEARCH) for name in record)]
    validated = [record for record in rest if not any(name.startswith(OF_A_SEARCH) for name in record)]
    for curves, found in ((run.training, trained), (run.search, searched)):
        if found:
            cut(curves, found[0]['step'])
    for curves, found in ((run.training, trained), (run.validation, validated), (run.search, searched)):
        for record in found:
            for name, value in numbers(record):
                if is_metric(name) or (curves is run.training and name in OF_THE_RUN):
                    curves.setdefault(name, []).append((record['step'], value))
    times, memory = run.training.get('time'), run.training.get('memory')
    if times:
        run.seconds = fmean(value for _, value in times) * times[-1][0]
    if memory:
        run.memory = max(value for _, value in memory)


def of_search(record: dict[str, Any]) -> dict[str, Any]:
    """What a record says of a search, by its short names, with its step."""
    own = {name.removeprefix(OF_A_SEARCH): value for name, value in record.items() if name.startswith(OF_A_SEARCH)}
    return {**own, 'step': record['step']}


def cut(curves: dict[str, Curve], step: float) -> None:
    """Drop the points of curves from a step on."""
    for name, curve in curves.items():
        curves[name] = [point for point in curve if point[0] < step]


def numbers(record: dict[str, Any]) -> list[tuple[str, float]]:
    """The entries of a record that are numbers."""
    return [
        (name, float(value))
        for name, value in record.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


def is_metric(name: str) -> bool:
    """Whether an entry of a log measures what is learned, and not the run."""
    return name not in NOT_CURVES


def read_classes(log: Path) -> tuple[str, dict[str, float]] | None:
    """The newest table of classes in a log of MMSegmentation: name of the first score, and class -> score."""
    found: dict[str, float] = {}
    newest = None
    for line in log.read_text(encoding='utf-8', errors='replace').splitlines():
        row = TABLE_ROW.match(line)
        cells = [cell.strip() for cell in row[1].split('|')] if row else []
        if len(cells) >= 2 and cells[0] == 'Class':
            found = {}
            newest = cells[1], found
        elif len(cells) >= 2 and newest is not None:
            try:
                found[cells[0]] = float(cells[1])
            except ValueError:
                continue
    return newest
