"""Files that are there whole or not at all, whenever the process ends."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from mmengine.fileio import register_backend
from mmengine.fileio.backends import LocalBackend

# Name of the backend in `backend_args` of MMEngine's file functions.
BACKEND = 'mmdas_atomic'


class WriteError(OSError):
    """A file that cannot be written."""


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file beside its place, bring it to the disk, and rename it.

    Args:
        path: of the file; a file that is there is replaced at once. Missing folders are made.
        content: what it holds.

    Raises:
        WriteError: if it cannot be written, on a full disk for instance; a file that was there is as before.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f'.{path.name}.', suffix='.part', delete=False) as stream:
            part = Path(stream.name)
            try:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            except BaseException:
                part.unlink()
                raise
        mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
        part.chmod(mode)
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise WriteError(
            f'{path} cannot be written: {error.strerror or error}; files that were there are as before, so make room '
            'or give another folder; let a training go on by --resume'
        ) from error


def remove_unfinished(folder: str | Path) -> None:
    """Remove the files of a folder whose writing never came to its end."""
    for part in Path(folder).glob('.*.pth.*.part'):
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, where folders can be opened (not on Windows)."""
    if os.name == 'nt':
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class AtomicBackend(LocalBackend):
    """MMEngine's local files, written by :func:`write_atomically`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text."""
        write_atomically(filepath, obj.encode(encoding))


register_backend(BACKEND, AtomicBackend, force=True)
