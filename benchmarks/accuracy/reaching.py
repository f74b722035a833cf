"""How many edges of the searched policies reach the clip, and why: ``python -m benchmarks.accuracy.reaching``.

Counted are the different policies of the records whose nodes keep two edges each. ``--search SEED`` searches on
CIFAR-10 once more in a cell of two edges, which are all that it has, and prints what it finds beside the cell of the
records.
"""

import argparse
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from mmdas.search.das import Policy
from mmdas.search.das.topology import NUM_INPUTS, needed_nodes

from .__main__ import RESULTS, read
from .rows import ROWS
from .run import search
from .tasks import ROOT, TASKS

NODES, KEPT = 4, 2  # of the cells that are counted
LAST = NUM_INPUTS + NODES - 1
SEARCHED = 'argmax-4f-gsf-undecayed'  # the row whose search is repeated with two edges


@dataclass(frozen=True)
class Reach:
    """What a policy says of its edges.

    Args:
        edges: number of those that the clip depends on.
        sources: of the two that end in the last node.
        different: number of different operations, with their strengths, that the clip depends on.
        twins: whether the edges from both input nodes to node 2 have one operation.
    """

    edges: int
    sources: tuple[int, ...]
    different: int
    twins: bool


def reach(policy: Policy) -> Reach:
    """Of a policy with two edges a node."""
    needed = policy.needed_edges
    into = {node: [edge for edge in policy.edges if edge.target == node] for node in (NUM_INPUTS, LAST)}
    return Reach(
        edges=len(needed),
        sources=tuple(sorted(edge.source for edge in into[LAST])),
        different=len({(edge.operation, edge.strength) for edge in needed}),
        twins=len({edge.operation for edge in into[NUM_INPUTS]}) == 1,
    )


def by_chance() -> dict[int, float]:
    """Number of edges that reach the clip -> its probability, if each node keeps two of its edges at random."""
    nodes = range(NUM_INPUTS, LAST + 1)
    found: Counter[int] = Counter()
    for kept in itertools.product(*(itertools.combinations(range(node), KEPT) for node in nodes)):
        edges = [(source, node) for node, sources in zip(nodes, kept, strict=True) for source in sources]
        needed = needed_nodes(edges, LAST)
        found[sum(target in needed for _, target in edges)] += 1
    return {edges: count / found.total() for edges, count in sorted(found.items())}


def policies() -> Iterator[tuple[str, Policy]]:
    """Kind (the selection, or ``'random'``) and content of the different policies of all records."""
    seen = set()
    for host, rows in ROWS.items():
        kinds = {row.name: row.selection if row.clip == 'search' else row.clip for row in rows}
        for record in read(RESULTS / f'accuracy-{host}.jsonl'):
            content: dict[str, Any] | None = record.get('policy')
            if content is None or record['row'] not in kinds:
                continue
            policy = Policy.from_dict(content)
            key = (host, json.dumps(content['edges']))
            if (policy.num_nodes, len(policy.edges)) == (NODES, KEPT * NODES) and key not in seen:
                seen.add(key)
                yield kinds[record['row']], policy


def leads() -> dict[str, list[float]]:
    """Host -> for each row that has both, the mean score of its policies of two edges less that of its others."""
    found: dict[str, list[float]] = {}
    for host, rows in ROWS.items():
        records = [record for record in read(RESULTS / f'accuracy-{host}.jsonl') if record.get('policy')]
        for row in rows:
            own: dict[bool, list[float]] = {True: [], False: []}
            for record in records:
                policy = Policy.from_dict(record['policy']) if record['row'] == row.name else None
                if policy is not None and row.clip == 'search' and len(policy.edges) == KEPT * NODES:
                    own[len(policy.needed_edges) == KEPT].append(record['score'])
            if all(own.values()):
                found.setdefault(host, []).append(fmean(own[True]) - fmean(own[False]))
    return found


def shares(counts: Counter[Any]) -> str:
    """Counts as a line, by key."""
    return ', '.join(f'{key}: {count}' for key, count in sorted(counts.items()))


def tell(kind: str, found: Iterable[Reach]) -> None:
    """Print what the policies of a kind have in common."""
    all_found = list(found)
    pairs = Counter(one.sources for one in all_found)
    print(f'{kind}, {len(all_found)} policies')
    print(f'  edges that reach the clip: {shares(Counter(one.edges for one in all_found))}')
    print(f'  nodes that the last one takes: {shares(pairs)}')
    print(f'  different operations that reach it: {shares(Counter(one.different for one in all_found))}')
    print(f'  edges 0-2 and 1-2 have one operation: {sum(one.twins for one in all_found)}')


def two_edges(seed: int, out: Path) -> None:
    """Search in the cell of two edges, and print its policy beside that of the records."""
    records = read(RESULTS / 'accuracy-cifar10.jsonl')
    found = {record['seed']: record['policy'] for record in records if record['row'] == SEARCHED}
    if seed not in found:  # before the search, which takes long
        raise SystemExit(f'--search {seed}: the records of {SEARCHED} have the seeds {sorted(found)}; give one of them')
    row = next(row for row in ROWS['cifar10'] if row.name == SEARCHED)
    row = replace(row, cell={**row.cell, 'num_nodes': 1})
    folder = out / 'cifar10' / 'searches' / f'{row.search_key}-{seed}'
    if not (folder / 'policy.json').is_file():
        search(TASKS['cifar10'], row, seed, folder)
    for name, policy in (('14 edges', Policy.from_dict(found[seed])), ('2 edges', Policy.load(folder / 'policy.json'))):
        edges = Counter(f'{edge.operation} {edge.strength:+.3f}' for edge in policy.needed_edges)
        cost = policy.origin.get('search_cost', {})
        print(f'search with {name}, seed {seed}: {shares(edges)}; {cost.get("cpu_seconds", 0):.0f} s of CPU time')


def main() -> None:
    """Print the counts, or what a search with two edges finds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--search', type=int, metavar='SEED', help='search on CIFAR-10 with two edges')
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'accuracy', help='searches and logs')
    args = parser.parse_args()
    os.chdir(ROOT)
    if args.search is not None:
        two_edges(args.search, args.out.resolve())
        return
    print('by chance: ' + ', '.join(f'{edges}: {share:.0%}' for edges, share in by_chance().items()))
    found = list(policies())
    for kind in sorted({kind for kind, _ in found}):
        tell(kind, (reach(policy) for other, policy in found if other == kind))
    for host, own in leads().items():
        print(f'{host}: policies of two edges lead those of more by {fmean(own):+.2f}, mean of {len(own)} rows')


if __name__ == '__main__':
    main()
