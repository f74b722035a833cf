"""Run the rows of a table: ``python -m benchmarks.accuracy cifar10``; what is done already is not done again."""

import argparse
import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is loaded: seconds of several threads do not compare

from .means import length  # noqa: E402
from .rows import ROWS, Row  # noqa: E402
from .run import train  # noqa: E402
from .tasks import ROOT, TASKS  # noqa: E402

RESULTS = ROOT / 'benchmarks' / 'results'


def read(path: Path) -> list[dict]:
    """Records of a file, one JSON object a line; of a row and seed the longest counts, of equal ones the last."""
    lines = path.read_text().splitlines() if path.is_file() else []
    records: dict[tuple[str, int], dict] = {}
    for record in map(json.loads, lines):
        key = record['row'], record['seed']
        if key not in records or length(record) >= length(records[key]):
            records[key] = record
    return list(records.values())


def plan(rows: list[Row], seeds: int | None) -> list[tuple[Row, int]]:
    """What is to be run: the first seed of all rows, then the second, and so on; random policies by fours."""
    jobs = [
        (position // 4 if row.clip == 'random' else position, row, seed)
        for row in rows
        for position, seed in enumerate(row.seeds[:seeds])
    ]
    return [(row, seed) for _, row, seed in sorted(jobs, key=lambda job: job[0])]


def is_done(records: list[dict], row: Row, seed: int, iterations: int, limit: float = math.inf) -> bool:
    """Whether a run of at least the row's length, or one that had ``limit`` seconds at least, is recorded."""
    found = [record for record in records if (record['row'], record['seed']) == (row.name, seed)]
    wanted = round((row.budget + row.plain_before) * iterations)
    return any(length(record) >= wanted or record.get('limit', 0) >= limit for record in found)


def main() -> None:
    """Run what the command line names and append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('task', choices=sorted(TASKS))
    parser.add_argument('--rows', nargs='+', help='names of rows (default: all of the task)')
    parser.add_argument('--seeds', type=int, help='at most so many seeds of a row')
    parser.add_argument('--seed', type=int, help='this seed alone')
    parser.add_argument('--budget', type=float, help='at most so many times the iterations of the task a training')
    parser.add_argument(
        '--limit',
        type=float,
        default=math.inf,
        help='end a training so many seconds after the beginning of its search',
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'accuracy', help='searches and logs')
    parser.add_argument('--results', type=Path, help='JSON lines (default: benchmarks/results/accuracy-TASK.jsonl)')
    args = parser.parse_args()
    os.chdir(ROOT)
    task = TASKS[args.task]
    path = (args.results or RESULTS / f'accuracy-{args.task}.jsonl').resolve()
    rows = [row for row in ROWS[args.task] if args.rows is None or row.name in args.rows]
    out = (args.out / args.task).resolve()
    if args.seed is not None and not any(args.seed in row.seeds for row in rows):
        parser.error(f'--seed {args.seed}: none of these rows has that seed')
    for row, seed in plan(rows, args.seeds):
        row = replace(row, budget=min(row.budget, args.budget or row.budget))
        if args.seed not in (None, seed) or is_done(read(path), row, seed, task.iterations, args.limit):
            continue
        start = time.perf_counter()
        record = train(task, row, seed, out, args.limit)
        with path.open('a') as stream:
            stream.write(json.dumps(record) + '\n')
        print(f'{row.name} seed {seed}: {record["score"]:.2f} in {time.perf_counter() - start:.0f} s', flush=True)


if __name__ == '__main__':
    main()
