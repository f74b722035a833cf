"""Write the table of operations in docs/augmentation.md anew, from what the package says of them."""

from collections.abc import Iterable
from pathlib import Path

from mmdas.search.augmentation import AUGMENT_OPERATIONS, AugmentOperation

PAGE = Path(__file__).parents[2] / 'docs' / 'augmentation.md'
BEGIN, END = '<!-- operations -->\n', '<!-- end of operations -->\n'
COLUMNS = ('operation', 'what it does, with a positive magnitude', 'magnitude', 'range', 'sign usually drawn', 'labels')


def table() -> str:
    """The table of all operations, in Markdown."""
    rows = [COLUMNS, tuple('---' for _ in COLUMNS), *map(cells, AUGMENT_OPERATIONS.values())]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def cells(operation: AugmentOperation) -> Iterable[str]:
    """What stands in the columns for an operation."""
    labels = 'follow' if operation.geometric else 'stay'
    if not operation.has_magnitude:
        return (f'`{operation.name}`', operation.effect, '', '', '', labels)
    bounds, sign = f'{operation.low:g} to {operation.high:g}', 'yes' if operation.signed else ''
    return (f'`{operation.name}`', operation.effect, operation.unit, bounds, sign, labels)


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
