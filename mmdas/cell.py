"""Former name of :mod:`mmdas.search.das`, for programs that import it."""

import warnings

from mmdas.search.das import (
    OPERATIONS,
    SPACES,
    DASCell,
    FrameTransform,
    Operation,
    Pixels,
    Policy,
    PolicyClip,
    PolicyEdge,
    PolicyError,
    build_space,
    get_operation,
)

warnings.warn('mmdas.cell is now mmdas.search.das; import from there', DeprecationWarning, stacklevel=2)

__all__ = [
    'OPERATIONS',
    'SPACES',
    'DASCell',
    'FrameTransform',
    'Operation',
    'Pixels',
    'Policy',
    'PolicyClip',
    'PolicyEdge',
    'PolicyError',
    'build_space',
    'get_operation',
]
