"""The method: operations, search spaces, the relaxed cell and its discretised policy. Plain torch."""

from .agreement import Agreement, agreement, operation_shares
from .cell import DASCell
from .frame_transform import FrameTransform
from .operation import Operation
from .operation_table import OPERATIONS, get_operation
from .own_operation import register_operation
from .pixels import Pixels
from .policy import Policy, PolicyEdge, PolicyError
from .policy_clip import PolicyClip
from .search_space import SPACES, build_space

__all__ = [
    'Agreement',
    'DASCell',
    'FrameTransform',
    'OPERATIONS',
    'Operation',
    'Pixels',
    'Policy',
    'PolicyClip',
    'PolicyEdge',
    'PolicyError',
    'SPACES',
    'agreement',
    'build_space',
    'get_operation',
    'operation_shares',
    'register_operation',
]
