"""Samples with the same image, whatever their names."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

# Numbers of an annotation that say nothing of the image; those of labels begin with gt_.
OF_SAMPLES = ('sample_idx', 'img_id', 'id', 'instances')
BLOCK = 4096  # bytes that tell most files of one size apart
# The files of the last call -> copy -> the file that it is a copy of. Both parts of a holdout ask for the same files.
_last: dict[bytes, dict[str, str]] = {}


def find_copies(datasets: Sequence[BaseDataset]) -> list[list[tuple[int, int]]]:
    """Samples whose images are the same byte by byte.

    Image files on this machine are compared by size, then by a block in their middle, then by a digest of all. Images
    that the annotations hold as arrays are compared by a digest. Files that are not on this machine count as copies if
    they have the same name. Samples are different if a number in their annotations is, beside labels: parts of one
    file, such as tiles and frames, are no copies.

    Args:
        datasets: loaded data sets.

    Returns:
        Groups of two or more (number of the data set, index), each in this order. The same in every process.
    """
    keys = [
        (number, index, *image_key(dataset.get_data_info(index)))
        for number, dataset in enumerate(datasets)
        for index in range(len(dataset))
    ]
    paths = list(dict.fromkeys(key for *_, key, _ in keys if isinstance(key, str) and '://' not in key))
    copies = find_file_copies(paths)
    groups: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for number, index, key, part in keys:
        if key is not None:
            groups[copies.get(key, key) if isinstance(key, str) else key, part].append((number, index))
    return [group for group in groups.values() if len(group) > 1]


def image_key(info: dict) -> tuple[str | bytes | None, str]:
    """What a sample's image is known by.

    Returns:
        The digest of its array, or its file, or None for a sample that has neither; and the part of the file that it
        is, by the numbers of the annotation.
    """
    path, image = info.get('img_path'), info.get('img')
    numbers = sorted(
        (name, value)
        for name, value in info.items()
        if isinstance(value, (int, float, tuple, list)) and name not in OF_SAMPLES and not name.startswith('gt_')
    )
    key: str | bytes | None = str(path) if path else None
    if isinstance(image, np.ndarray):
        key = blake2b(f'{image.shape} {image.dtype}'.encode() + np.ascontiguousarray(image).tobytes()).digest()
    return key, repr(numbers)


def find_file_copies(paths: Sequence[str]) -> dict[str, str]:
    """Copy -> the first of the files with its content; a file that cannot be read is no copy."""
    digest = blake2b('\0'.join(paths).encode(errors='surrogateescape')).digest()
    if digest not in _last:
        candidates: Iterable[list[str]] = [list(paths)]
        for tell in (os.path.getsize, _middle, _content):
            candidates = [group for old in candidates for group in _divide(old, tell)]
        _last.clear()
        _last[digest] = {path: group[0] for group in candidates for path in group[1:]}
    return _last[digest]


def _divide(paths: list[str], tell: Callable[[str], Any]) -> list[list[str]]:
    """Groups of two or more files of which a function says the same."""
    groups: dict[Any, list[str]] = defaultdict(list)
    for path in paths:
        try:
            groups[tell(path)].append(path)
        except OSError:  # the check of the files names it
            continue
    return [group for group in groups.values() if len(group) > 1]


def _middle(path: str) -> bytes:
    with open(path, 'rb', buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - BLOCK, 0) // 2)
        return blake2b(file.read(BLOCK)).digest()


def _content(path: str) -> bytes:
    digest = blake2b()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def describe_copies(datasets: Sequence[BaseDataset], groups: Sequence[list[tuple[int, int]]]) -> str:
    """How many copies there are, and two of them.

    Args:
        datasets, groups: as of :func:`find_copies`; at least one group.
    """
    first, other = (
        str(datasets[number].get_data_info(index).get('img_path') or f'sample {index}')
        for number, index in groups[0][:2]
    )
    count = sum(len(group) - 1 for group in groups)
    example = f'{other} of {first}' if first != other else f'{first}, which is there {len(groups[0])} times'
    return (
        f'{count} samples are copies of others, such as {example}; the holdout keeps copies of an image in one part, '
        'but they count more in the training: remove them unless they are meant'
    )
