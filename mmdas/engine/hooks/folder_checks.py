"""Data sets of folders, one a class: whether the names of the classes go with the folders."""

from collections.abc import Iterator
from typing import Any

from mmdas.engine.data_error import DataError
from mmdas.engine.data_files import inner_datasets


def check_folders(dataset: Any, mode: str, known: dict[str, int]) -> None:
    """Check that classes are named in the order of their folders, and that a folder has one number in all parts.

    ``CustomDataset`` of MMPretrain numbers its folders in alphabetical order, whatever order ``classes`` have.

    Args:
        dataset: of a part, within any wrappers.
        mode: name of the part, such as ``'val'``.
        known: folder -> number in the parts that were looked at before; those of this one are added.

    Raises:
        DataError: naming the part, and the order that is right.
    """
    for inner, numbers in folders(dataset):
        names = sorted(numbers, key=numbers.__getitem__)
        classes = list((getattr(inner, 'metainfo', None) or {}).get('classes') or ())
        if classes != names and sorted(map(str, classes)) == sorted(names):
            raise DataError(
                f'classes of {mode}_dataloader are {classes}, but {type(inner).__name__} numbers its folders in the '
                f'order of the alphabet, so that names would go with other folders; set classes={names}'
            )
        moved = [name for name in names if known.setdefault(name, numbers[name]) != numbers[name]]
        if moved:
            raise DataError(
                f'the folder {moved[0]} is class {numbers[moved[0]]} of {mode}_dataloader, whose folders are {names}, '
                f'and class {known[moved[0]]} of another part: folders are numbered in the order of the alphabet; give '
                'all parts the same folders, also empty ones'
            )


def folders(dataset: Any) -> Iterator[tuple[Any, dict[str, int]]]:
    """Inner data sets whose classes are folders, with the numbers of these."""
    for inner in inner_datasets(dataset):
        numbers = getattr(inner, 'folder_to_idx', None)
        if isinstance(numbers, dict) and numbers:
            yield inner, numbers
