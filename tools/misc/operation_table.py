"""Write the table of operations in docs/operations.md anew, from what the package says of them."""

from collections.abc import Iterable
from pathlib import Path

import torch

from mmdas.search.das import Operation, build_space
from mmdas.search.das.operation_table import BUILT_IN

PAGE = Path(__file__).parents[2] / 'docs' / 'operations.md'
BEGIN, END = '<!-- table -->\n', '<!-- end of table -->\n'
COLUMNS = (
    'operation',
    'kind',
    'a positive strength',
    'unit',
    'paper',
    'flips',
    'large',
    'magnitude at distance d',
    'at -d',
    'gradient of the strength',
)


def table() -> str:
    """The table of all operations of mmdas, in Markdown."""
    rows = [COLUMNS, tuple('---' for _ in COLUMNS), *(cells(operation) for operation in BUILT_IN)]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def cells(operation: Operation) -> Iterable[str]:
    """What stands in the columns for an operation."""
    effect = f'{operation.effect}, at random' if operation.random else operation.effect
    ranges = [range_in(operation.name, space) for space in ('paper', 'flips', 'large')]
    described = (f'`{operation.name}`', operation.kind, effect)
    if operation.is_identity:
        return (*described, '', *ranges, '', '', '')
    growth = '(1 + strength)^d - 1' if operation.growth == 'power' else 'strength x d'
    sides = 'the opposite' if tells_signs_apart(operation) else 'the same'
    return (*described, operation.unit, *ranges, growth, sides, 'yes' if has_gradient(operation) else 'none')


def range_in(name: str, space: str) -> str:
    """Range of the strengths of an operation in a space; empty where it is not part of it."""
    return next((f'{row.low:g} to {row.high:g}' for row in build_space(space) if row.name == name), '')


def tells_signs_apart(operation: Operation) -> bool:
    """Whether a negative magnitude changes an image in another way than the positive one."""
    images, magnitude = torch.rand(1, 3, 24, 32), torch.tensor([operation.high])
    results = []
    for signed in (magnitude, -magnitude):
        draw = {'generator': torch.Generator().manual_seed(0)} if operation.random else {}
        results.append(operation.function(images, signed, **draw))
    return not torch.equal(*results)


def has_gradient(operation: Operation) -> bool:
    """Whether the strength has a gradient, so that a search may learn it."""
    magnitude = torch.tensor([operation.high], requires_grad=True)
    return operation.function(torch.rand(1, 3, 24, 32), magnitude).requires_grad


def with_table(page: str) -> str:
    """The page with the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f'{before}{BEGIN}\n{table()}\n{END}{after}'


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_table(PAGE.read_text(encoding='utf-8')), encoding='utf-8')
    print(PAGE)


if __name__ == '__main__':
    main()
