"""The operations of docs/operations.md, as a module that tests register and forget."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmdas.search.das import operation_table

PAGE = Path(__file__).parents[1] / 'docs' / 'operations.md'
MODULE = re.search(r'^```python\n# my_operations\.py\n(.*?)^```', PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]


def write_module(folder: Path) -> None:
    """Write ``my_operations.py`` as a user does."""
    (folder / 'my_operations.py').write_text(MODULE)


def forget() -> None:
    """Leave the operations of mmdas alone, as in a process that has imported no others."""
    operation_table._operations.clear()
    operation_table._operations.update((operation.name, operation) for operation in operation_table.BUILT_IN)
    sys.modules.pop('my_operations', None)


@contextmanager
def forgotten_afterwards() -> Iterator[None]:
    """Forget what is registered within, and the folders that were added to the path."""
    path = list(sys.path)
    try:
        yield
    finally:
        forget()
        sys.path[:] = path
