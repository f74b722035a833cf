"""Where results go: checked before the work that makes them."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from .parser import CommandError

PICTURES = ('.png', '.jpg', '.jpeg', '.pdf', '.svg', '.tif', '.tiff', '.webp')  # that matplotlib writes


def check_file(path: str | Path, endings: Sequence[str] = (), option: str = '--out') -> None:
    """Refuse the path of a file that cannot be written.

    Args:
        path: of the file; its folder need not be there yet.
        endings: that its name may have, in any case. Default: any.
        option: that named it.

    Raises:
        CommandError: with the value, and what to name instead.
    """
    path = Path(path)
    if path.is_dir():
        example = path / f'result{endings[0] if endings else ""}'
        raise CommandError(f'{option} is {path}, a folder; name a file, such as {example}')
    if endings and path.suffix.lower() not in endings:
        raise CommandError(f'{option} is {path}; its name must end with {" or ".join(endings)}')
    if path.exists() and not os.access(path, os.W_OK):
        raise CommandError(f'{option} is {path}, a file that must not be written; name another one')
    check_folder(path.parent, option, path)


def check_folder(folder: str | Path, option: str = '--out-dir', named: str | Path | None = None) -> None:
    """Refuse a folder in which nothing can be written; it need not be there yet.

    Args:
        folder: that is looked at.
        option: that named it.
        named: what the option names. Default: the folder.

    Raises:
        CommandError: with the value, and what is wrong with it.
    """
    place = Path(folder).absolute()
    there = next(part for part in (place, *place.parents) if part.exists())
    told = f'{option} is {folder if named is None else named}, but '
    if not there.is_dir():
        raise CommandError(f'{told}{there} is a file, no folder; name another place')
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise CommandError(f'{told}nothing can be written in {there}: {error.strerror}; name another place') from error
