"""What the trials of a selection tell: ``python -m benchmarks.accuracy.removals cifar10``.

Searches once, and when the selection would start takes every operation of every edge away, both with the weights of the
others as they are and with weights that sum to one again.
"""

import argparse
import os
import statistics
from collections import Counter
from collections.abc import Callable

os.environ.setdefault('OMP_NUM_THREADS', '1')

from mmdas.engine.selection import ArgmaxSelection, BaseSelection, Decision, Score  # noqa: E402
from mmdas.registry import TASK_UTILS  # noqa: E402
from mmdas.search.das import DASCell  # noqa: E402

from .rows import UNDECAYED, Row  # noqa: E402
from .run import search  # noqa: E402
from .tasks import ROOT, TASKS  # noqa: E402

HEADER = ('operation', 'mean weight', 'loss without it', 'kept by', 'renormalised', 'kept by')


@TASK_UTILS.register_module(force=True)
class RemovalReport(BaseSelection):
    """Prints the trials of all edges as they are before any decision, then takes the largest weights."""

    def decisions(self, cell: DASCell) -> list[Decision]:
        return [Decision('all', 0, 1 + 2 * cell.logits.numel())]

    def decide(self, cell: DASCell, decision: Decision, evaluate: Callable[[], Score]) -> dict[str, float]:
        print(f'entropy of the mixtures: {cell.entropy().mean():.3f} nats')
        print(removals(cell, evaluate))
        return ArgmaxSelection().decide(cell, decision, evaluate)


def removals(cell: DASCell, evaluate: Callable[[], Score]) -> str:
    """Table with a row per operation: means over the edges, and the number of edges that would keep it.

    Args:
        cell: the relaxed cell, nothing decided.
        evaluate: score of the model as the cell stands.
    """
    weights, base = cell.weights().detach(), evaluate().negative_loss
    edges, operations = range(len(cell.edges)), range(len(cell.operations))
    columns = []
    for renormalize in (False, True):
        change = []  # of the loss, [edge][operation]
        for edge in edges:
            change.append([])
            for operation in operations:
                with cell.without_operation(edge, operation, renormalize):
                    change[-1].append(base - evaluate().negative_loss)
        kept = Counter(max(operations, key=row.__getitem__) for row in change)
        columns.append(
            [(statistics.mean(row[operation] for row in change), kept[operation]) for operation in operations]
        )
    lines = [f'| {" | ".join(HEADER)} |', '| --- ' * len(HEADER) + '|']
    for number, name in enumerate(cell.operation_names):
        (plain, plain_kept), (renormalized, renormalized_kept) = (column[number] for column in columns)
        weight = weights[:, number].mean()
        cells = f'{weight:.2f} | {plain:+.4f} | {plain_kept} | {renormalized:+.4f} | {renormalized_kept}'
        lines.append(f'| {name} | {cells} |')
    return '\n'.join(lines)


def main() -> None:
    """Search a policy of a task and print what its trials tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('task', choices=sorted(TASKS))
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--batches', type=int, default=16, help='on which a trial is evaluated (default: %(default)s)')
    parser.add_argument('--decay', action='store_true', help="with the paper's weight decay of the logits")
    args = parser.parse_args()
    os.chdir(ROOT)
    row = Row(
        'removals',
        '',
        clip='search',
        selection='RemovalReport',
        selection_options={'num_batches': args.batches},
        logits={} if args.decay else UNDECAYED,
    )
    search(TASKS[args.task], row, args.seed, ROOT / 'work_dirs' / 'removals' / args.task)


if __name__ == '__main__':
    main()
