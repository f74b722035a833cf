"""Former name of :mod:`mmdas.search.das`, for programs that import it."""

import warnings
from typing import Any

from mmdas.search import das

warnings.warn('mmdas.cell is now mmdas.search.das; import from there', DeprecationWarning, stacklevel=2)


def __getattr__(name: str) -> Any:
    return getattr(das, name)
