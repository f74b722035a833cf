"""G2: CPU seconds of a whole fast search over those of a search by an older build, and by this one."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.accuracy.tasks import ROOT
from benchmarks.harness import Report, Settings

TITLE = 'whole fast search against the default search, of this build and of an older one'
METRICS = ('search_over_today', 'cifar10_over_today', 'camvid_over_today', 'search_over_default')
BUILD = 'b7df2d4'
# The folder of that build; without it, a worktree of it is made in the temporary folder, and goes again.
VARIABLE = 'MMDAS_OLD_BUILD'
QUICK = 10  # the part of a quick run
ROUNDS = 3  # of a quick run, whose searches are short: the least of each counts
DEFAULT, FAST = 'argmax-4f-tsm-undecayed', 'fast-4f-tsm'
SEARCH = """
import inspect, sys, tempfile
from pathlib import Path
from benchmarks.accuracy.rows import ROWS
from benchmarks.accuracy.run import run, search_config
from benchmarks.accuracy.tasks import TASKS
host, name, part = sys.argv[1], sys.argv[2], int(sys.argv[3])
row = next(row for row in ROWS[host] if row.name == name)
with tempfile.TemporaryDirectory() as folder:
    given = TASKS[host], row, 0, Path(folder)  # the older build writes configs there
    cfg = search_config(*given[: len(inspect.signature(search_config).parameters)])
    for key in {'max_iters', 'warmup_iters', 'image_iters'} & set(cfg.train_cfg):
        cfg.train_cfg[key] //= part
    cfg.work_dir = folder
    run(cfg)
    print(Path(folder, 'policy.json').read_text())
"""


def run(settings: Settings) -> Report:
    """Run the searches one after the other, each in a process of its own."""
    part = QUICK if settings.quick else 1
    report, rows = Report(), []
    ratios = {}
    with old_build() as old:
        for task in ('cifar10', 'camvid'):
            searches = {f'default, {BUILD}': (old, DEFAULT), 'default': (ROOT, DEFAULT), 'fast': (ROOT, FAST)}
            found: dict[str, list[float]] = {name: [] for name in searches}
            for _ in range(ROUNDS if settings.quick else 1):
                for name, (build, row) in searches.items():
                    found[name].append(cpu_seconds(build, task, row, part))
            costs = {name: min(times) for name, times in found.items()}
            first, default, fast = costs.values()
            ratios[task] = fast / first, fast / default
            rows += [(task, name, cost, cost / first) for name, cost in costs.items()]
    report.table(f'T = 4, GSF; a search of 1/{part} of its length', ('task', 'search', 'CPU s', '/ older build'), rows)
    report.metric('search_over_today', max(before for before, _ in ratios.values()))
    for task, (before, _) in ratios.items():
        report.metric(f'{task}_over_today', before)
    report.metric('search_over_default', max(now for _, now in ratios.values()))
    return report


@contextmanager
def old_build() -> Iterator[Path]:
    """The folder of the older build, with what git does not hold: where MIM looks, and the data."""
    if VARIABLE in os.environ:
        yield Path(os.environ[VARIABLE])
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, BUILD)
        git('worktree', 'add', '--detach', str(path), BUILD)
        try:
            for name in ('data', 'mmdas/.mim'):
                if (ROOT / name).exists() and not (path / name).exists():
                    (path / name).symlink_to((ROOT / name).resolve())
            yield path
        finally:
            git('worktree', 'remove', '--force', str(path))


def git(*words: str) -> None:
    """Run git in the repository."""
    subprocess.run(['git', '-C', str(ROOT), *words], check=True, capture_output=True)


def cpu_seconds(build: Path, task: str, row: str, part: int) -> float:
    """CPU seconds of the search of a row of :mod:`benchmarks.accuracy`, as its policy tells them."""
    environment = {**os.environ, 'PYTHONPATH': str(build), 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'Agg'}
    command = [sys.executable, '-c', SEARCH, task, row, str(part)]
    found = subprocess.run(command, cwd=build, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    policy = json.loads(found.stdout[found.stdout.index('{') :])
    return policy['origin']['search_cost']['cpu_seconds']
