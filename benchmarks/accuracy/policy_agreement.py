"""How far the policies of a row's seeds agree: ``python -m benchmarks.accuracy.policy_agreement cifar10``."""

import argparse
from pathlib import Path

from mmdas.search.das import Policy, agreement

from .__main__ import RESULTS, read
from .rows import ROWS
from .tasks import TASKS


def policies_of(records: list[dict], row: str) -> list[Policy]:
    """Policies of a row, in the order of the seeds."""
    found = sorted((record for record in records if record['row'] == row), key=lambda record: record['seed'])
    return [Policy.from_dict(record['policy']) for record in found if record['policy']]


def main() -> None:
    """Print a line for each searched row with two seeds or more."""
    parser = argparse.ArgumentParser(description=__doc__.split(':')[0])
    parser.add_argument('task', choices=sorted(TASKS))
    parser.add_argument('--results', type=Path, help='JSON lines (default: benchmarks/results/accuracy-TASK.jsonl)')
    args = parser.parse_args()
    records = read(args.results or RESULTS / f'accuracy-{args.task}.jsonl')
    for row in ROWS[args.task]:
        policies = policies_of(records, row.name)
        if row.clip in ('search', 'random') and len(policies) > 1:
            print(f'{row.name:32} {len(policies):2} seeds: {agreement(policies)}')


if __name__ == '__main__':
    main()
