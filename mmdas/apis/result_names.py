"""Names for the files that hold predictions: those of the images."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


class ResultNames:
    """Names without suffix, one an image; no two images of one folder of results share a name.

    A file's results are named by its stem. Files of one stem are told apart by what differs in their folders
    (``a/x.png`` and ``b/x.png`` become ``a_x`` and ``b_x``), then by their suffixes, then by a number. Arrays are
    numbered through all calls.

    Example:
        >>> names = ResultNames()
        >>> names(names.keys(['a/x.png', 'b/x.png', 'b/y.png']), 'out')
        ['a_x', 'b_x', 'y']
    """

    def __init__(self) -> None:
        self._arrays = 0
        self._owners: dict[tuple[str, str], str] = {}

    def keys(self, images: Sequence[str | np.ndarray]) -> list[str]:
        """What tells images apart: the full path or address of a file, and a new number for an array."""
        return [self._number() if isinstance(image, np.ndarray) else _absolute(image) for image in images]

    def __call__(self, keys: Sequence[str], folder: str | Path) -> list[str]:
        """The names of images whose results go to a folder; the same file gets the same name again."""
        names = {key: _path(key).stem for key in keys}
        names = _told_apart(names, _with_folders)
        with_ending = {key: name + _path(key).suffix.replace('.', '_') for key, name in names.items()}
        names = _told_apart(names, lambda key, _: with_ending[key])
        return [self._claim(names[key], key, os.path.abspath(folder)) for key in keys]

    def _number(self) -> str:
        self._arrays += 1
        return f'{self._arrays - 1:08d}'

    def _claim(self, name: str, key: str, folder: str) -> str:
        """The name, with a number if another image has it; some file systems take X and x for the same."""
        claimed, number = name, 1
        while self._owners.setdefault((folder, claimed.casefold()), key) != key:
            number += 1
            claimed = f'{name}_{number}'
        return claimed


def _absolute(image: str) -> str:
    return image if '://' in image else os.path.abspath(image)


def _path(key: str) -> Path:
    """Path of a file, or the part of an address that is one."""
    return Path(key.partition('?')[0] if '://' in key else key)


def _with_folders(key: str, others: list[str]) -> str:
    """Name of the path below the folder that all have in common."""
    common = len(os.path.commonprefix([_path(other).parent.parts for other in others]))
    parts = [*_path(key).parent.parts[common:], _path(key).stem]
    return '_'.join(filter(None, (re.sub(r'[\\/:]', '', part) for part in parts)))


def _told_apart(names: dict[str, str], longer: Callable[[str, list[str]], str]) -> dict[str, str]:
    """Longer names for those that images share."""
    groups: dict[str, list[str]] = {}
    for key, name in names.items():
        groups.setdefault(name.casefold(), []).append(key)
    sharing = {key: keys for keys in groups.values() if len(keys) > 1 for key in keys}
    return {key: longer(key, sharing[key]) if key in sharing else name for key, name in names.items()}
