"""The images of a folder, and what is told of those that are done."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mmdas.apis.image_inputs import SUFFIXES

SECONDS = 5.0  # between two lines of progress


def list_images(folder: Path, target: Path) -> list[str]:
    """Names of all images below a folder, hidden files and those of the data set that is written left out.

    Raises:
        FileNotFoundError: if there is no folder, or no image in it.
        ValueError: for a name that a list of names cannot hold.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'there is no folder {folder}')
    files = (path for path in sorted(folder.rglob('*')) if path.suffix.lower() in SUFFIXES and path.is_file())
    found = [
        path.relative_to(folder).as_posix()
        for path in files
        if target not in path.parents and not any(part.startswith('.') for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise FileNotFoundError(f'{folder} holds no image ({", ".join(SUFFIXES)})')
    for name in found:
        if name != name.strip() or '\n' in name or '\r' in name:
            raise ValueError(f'{folder / name}: a list of names cannot hold this one; rename the file')
    return found


def told(batches: Iterator[list], total: int, tell: Callable[[str], None]) -> Iterator[list]:
    """The batches, with lines of progress and of the time that is left."""
    start = last = time.monotonic()
    done = 0
    for rows in batches:
        yield rows
        done += len(rows)
        now = time.monotonic()
        if now - last >= SECONDS or done == total:
            last, left = now, (now - start) / done * (total - done)
            minutes, seconds = divmod(round(left), 60)
            tell(f'{done} of {total} images, {done / (now - start):.1f} a second, {minutes}:{seconds:02d} left')
