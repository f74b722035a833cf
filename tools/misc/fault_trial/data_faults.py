"""Faults of data files, for ``fault_trial`` and the tests: what is done to a file, and what a run must say of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

LABEL_VALUES = 200, 300  # what 16-bit labels hold; the second does not fit 8 bits


@dataclass(frozen=True)
class DataFault:
    """A fault of one file.

    Attributes:
        name: for people.
        file: ``'image'`` or ``'label'``: which file of a sample it is.
        damage: does it, given the file.
        says: a part of what a run must say, beside the file's name.
        ends: whether the run must end; else it must warn.
    """

    name: str
    file: str
    damage: Callable[[Path], object]
    says: str
    ends: bool = True


def truncate(path: Path) -> None:
    """Keep the first half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def change_labels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Damage that writes another array in the place of a label image."""

    def damage(path: Path) -> None:
        Image.fromarray(change(np.array(Image.open(path)))).save(path)

    return damage


def change_image(orientation: int, keep: float = 1.0) -> Callable[[Path], None]:
    """Damage that gives an image an EXIF orientation, and leaves out its lower part with that of its label."""

    def damage(path: Path) -> None:
        label = path.parents[1] / 'SegmentationClass' / f'{path.stem}.png'
        for file in (path, label):
            image = Image.open(file)
            exif = image.getexif()
            exif[274] = orientation
            whole = image.crop((0, 0, image.width, round(keep * image.height)))
            whole.save(file, **({'exif': exif} if file == path else {}))

    return damage


UNREADABLE = [
    ('truncated', truncate, 'is cut off or damaged'),
    ('empty', lambda path: path.write_bytes(b''), 'is empty (0 bytes)'),
    ('a text file', lambda path: path.write_text('not an image\n'), 'is no image'),
    ('missing', lambda path: path.unlink(), 'is missing'),
]
IMAGE_FAULTS = [DataFault(f'image {name}', 'image', damage, says) for name, damage, says in UNREADABLE]
LABEL_FAULTS = [
    *(DataFault(f'label {name}', 'label', damage, says) for name, damage, says in UNREADABLE),
    DataFault('label of half the size', 'label', change_labels(lambda labels: labels[::2, ::2]), 'do not lie on each'),
    DataFault('label cut', 'label', change_labels(lambda labels: labels[:40]), 'do not lie on each'),
    DataFault(
        '16-bit label that wraps',
        'label',
        change_labels(lambda labels: (labels.astype(np.uint16) > 0) * np.uint16(LABEL_VALUES[1])),
        'are read as 8 bit and become [44]',
    ),
    DataFault(
        'label of RGB colours',
        'label',
        change_labels(lambda labels: np.stack([20 * labels] * 3, -1)),
        'stores colours, not classes',
    ),
    DataFault(
        'label outside the classes', 'label', change_labels(lambda labels: labels + 70), 'outside the 11 classes'
    ),
    DataFault('EXIF turns the image on its side', 'image', change_image(6, keep=0.75), 'its EXIF orientation 6'),
    DataFault('EXIF turns the image over', 'image', change_image(3), 'its EXIF orientation 3', ends=False),
]
