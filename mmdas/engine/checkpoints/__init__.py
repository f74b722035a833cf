"""Files of checkpoints: written whole, checked before they are used, and nothing in them is run."""

from .atomic_file import BACKEND, AtomicBackend, WriteError, remove_unfinished, write_atomically
from .check import CheckpointError, explain, forbid_code, read_checkpoint, trust_checkpoints
from .newest import has_checkpoints, newest_checkpoint
from .plain_data import as_plain_data, as_written, without_methods
from .run_lock import FolderInUseError, hold_folder, release_folder

__all__ = [
    'BACKEND',
    'AtomicBackend',
    'CheckpointError',
    'FolderInUseError',
    'WriteError',
    'as_plain_data',
    'as_written',
    'explain',
    'forbid_code',
    'has_checkpoints',
    'hold_folder',
    'newest_checkpoint',
    'read_checkpoint',
    'release_folder',
    'remove_unfinished',
    'trust_checkpoints',
    'without_methods',
    'write_atomically',
]
