"""One run in a folder at a time: two would write and remove each other's checkpoints."""

import logging
import os
import socket
from pathlib import Path
from typing import IO

from mmengine.logging import print_log

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = '.running'
# Folders of this process. The system forgets a lock as soon as any handle of its file is closed: there is one each.
_held: dict[Path, IO[str]] = {}


class FolderInUseError(RuntimeError):
    """A folder in which another process trains."""


def hold_folder(folder: str | Path) -> None:
    """Keep other processes from training in a folder until this one ends, however it ends, or releases it.

    Where the system or the file system has no locks, the log says so.

    Args:
        folder: of the run; it is there.

    Raises:
        FolderInUseError: naming the process that holds it.
    """
    path = Path(folder).resolve() / NAME
    if path in _held or fcntl is None:
        return
    stream = path.open('a+')
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        stream.seek(0)
        owner = stream.read(200).strip() or 'another process'
        stream.close()
        raise FolderInUseError(
            f'{owner} trains in {folder}, and two runs would overwrite the checkpoints of each other; wait for it, end '
            'it, or give another --work-dir'
        ) from error
    except OSError as error:
        stream.close()
        print_log(f'{folder} cannot be locked ({error}): take care that no second run uses it', 'current', logging.INFO)
        return
    stream.truncate(0)
    stream.write(f'process {os.getpid()} on {socket.gethostname()}\n')
    stream.flush()
    _held[path] = stream


def release_folder(folder: str | Path) -> None:
    """Let others train in a folder; nothing happens if this process does not hold it."""
    stream = _held.pop(Path(folder).resolve() / NAME, None)
    if stream is not None:
        stream.close()
